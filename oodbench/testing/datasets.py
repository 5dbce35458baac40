"""Checks of a data set. Nothing is downloaded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import SkipTest

import numpy as np

from oodbench.contracts import Dataset, GeneratedDataset, ImageSet, InvalidData
from oodbench.errors import UserError
from oodbench.images.geometry import check_images, shape_of
from oodbench.testing import common, toy
from oodbench.testing.common import Step, Subject

SPOT = 64
"""Images of each split that are decoded and compared."""


class DatasetSubject(Subject):
    """A data set under test, with the images that several checks share.

    Its files are looked for in the folder that ``OODBENCH_DATA`` names; checks that need images
    are skipped where they are not.

    Args:
        dataset: a data set with the parameters to test it with.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        made = isinstance(dataset, GeneratedDataset)
        self.dataset = dataset.fitted(toy.SHAPE) if made else dataset
        self.shape = Step("the shape", lambda: shape_of(self.dataset))
        self.loaded = Step("load", self._load_all)

    def _load_all(self) -> dict[str, ImageSet]:
        self.constructed.result()
        return {split: self.load(split) for split in self.dataset.splits}

    def load(self, split: str) -> ImageSet:
        """Read or make one split; raise SkipTest if its files are not on this machine."""
        if isinstance(self.dataset, GeneratedDataset):
            return self._generate(self.dataset)
        root = Path(os.environ.get("OODBENCH_DATA", os.devnull))  # where no file can be
        missing = [path for path in self.dataset.files(root, split) if not path.is_file()]
        if missing:
            raise SkipTest(f"{missing[0].name} is not in the data folder")
        return self.dataset.load(root, split)

    @staticmethod
    def _generate(dataset: GeneratedDataset) -> ImageSet:
        from oodbench.testing.fitting import fit_parts

        problem = toy.toy_problem()
        return dataset.generate(problem.context(frozenset(), parts=fit_parts(dataset, problem)))

    def files(self, root: Path) -> list[Path]:
        """Return the files of all splits; raise SkipTest if there are none."""
        files = [path for split in self.dataset.splits for path in self.dataset.files(root, split)]
        if not files:
            raise SkipTest("the data set reads no files from the data folder")
        return files


def check_declarations(subject: DatasetSubject) -> None:
    """Check that shape, number of classes and splits have the right form."""
    dataset = subject.dataset
    subject.shape.run()
    assert dataset.num_classes >= 0, f"num_classes is {dataset.num_classes}"
    assert dataset.splits, "there is no split"
    assert "test" in dataset.splits, f"there is no test split among {dataset.splits}"


def check_fitted(subject: DatasetSubject) -> None:
    """Check that fitted() returns the data set itself, or one in exactly the given geometry."""
    subject.constructed.result()
    shape = (3, 20, 24)
    fitted = subject.dataset.fitted(shape)
    assert isinstance(fitted, Dataset), f"fitted() returned a {type(fitted).__name__}"
    in_place = fitted is subject.dataset
    assert in_place or fitted.shape == shape, f"fitted({shape}) has images of {fitted.shape}"


def check_files(subject: DatasetSubject) -> None:
    """Check that all files lie in the data folder and are named without reading the disk."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = subject.files(root)
        outside = [path for path in files if not path.resolve().is_relative_to(root.resolve())]
        assert not outside, f"{outside[0]} is not in the data folder"
        assert not list(root.iterdir()), "files() writes into the data folder"


def check_missing_files(subject: DatasetSubject) -> None:
    """Check that missing files are the user's error: one sentence, not a traceback."""
    with tempfile.TemporaryDirectory() as folder:
        subject.files(Path(folder))
        for split in subject.dataset.splits:
            _assert_refuses(subject.dataset, Path(folder), split, UserError, "missing")


def check_damaged_files(subject: DatasetSubject) -> None:
    """Check that damaged files raise an error that names them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = [
            path for path in subject.files(root) if path.resolve().is_relative_to(root.resolve())
        ]
        if not files:
            raise SkipTest("no file lies in the data folder, where it could be damaged")
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"damaged")
        names = {path.name for path in files}
        for split in subject.dataset.splits:
            message = _assert_refuses(subject.dataset, root, split, InvalidData, "damaged")
            assert any(name in message for name in names), f"'{message}' does not name the file"


def _assert_refuses(
    dataset: Dataset, root: Path, split: str, expected: type[UserError], state: str
) -> str:
    """Return the message of the error that ``load`` raises for missing or damaged files."""
    try:
        dataset.load(root, split)
    except expected as error:
        return str(error)
    except Exception as error:
        raise AssertionError(
            f"load of {state} files raises {error!r}, not {expected.__name__}"
        ) from error
    raise AssertionError(f"load of {state} files returns images")


def check_images_and_labels(subject: DatasetSubject) -> None:
    """Check that dtypes and shapes fit, and that labels are classes, or all -1 without classes."""
    dataset = subject.dataset
    for split, loaded in subject.loaded.run().items():
        check_images(loaded, split)
        channels, height, width = subject.shape.result()
        expected = (height, width) if channels == 1 else (height, width, 3)
        shape = tuple(loaded.images.shape[1:])
        assert shape == expected, f"{split} images are {shape}, but shape promises {expected}"
        assert loaded.labels.dtype == np.int64, f"{split} labels are {loaded.labels.dtype}"
        low, high = (0, dataset.num_classes) if dataset.num_classes else (-1, 0)
        found = (int(loaded.labels.min()), int(loaded.labels.max()))
        assert low <= found[0], f"{split} labels reach from {found[0]}, not from {low}"
        assert found[1] < high, f"{split} labels reach {found[1]}, with {high} classes"


def check_same_images_every_time(subject: DatasetSubject) -> None:
    """Check that loading again gives the same images in the same order, whatever NumPy's seed."""
    for split, loaded in subject.loaded.result().items():
        again = subject.load(split)
        assert len(again) == len(loaded), f"{split} has {len(loaded)} images, then {len(again)}"
        assert np.array_equal(again.labels, loaded.labels), f"{split} labels differ"
        where = np.unique(np.linspace(0, len(loaded) - 1, SPOT).astype(np.int64))
        same = np.array_equal(again.images[where], loaded.images[where])
        assert same, f"{split} images differ when loaded again"
        at_once, alone = loaded.images[where][-1], loaded.images[where[-1:]][0]
        assert np.array_equal(at_once, alone), f"image {where[-1]} of {split} depends on the access"


CHECKS: Sequence[Callable[[DatasetSubject], None]] = (
    *common.CHECKS,
    check_declarations,
    check_fitted,
    check_files,
    check_missing_files,
    check_damaged_files,
    check_images_and_labels,
    check_same_images_every_time,
)
