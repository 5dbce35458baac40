"""Each way to break the contract of a data set is found, by the check that is about it."""

from typing import ClassVar

import numpy as np
import pytest
from outcomes import failures, outcomes

from oodbench.contracts import Dataset, DataUnavailable, ImageSet, Info, InvalidData
from oodbench.testing import checks


class Stripes(Dataset):
    """A sound data set that is computed: images of two classes."""

    info = Info(name="stripes", summary="Stripes across or down")
    shape = (1, 6, 4)
    num_classes = 2
    splits = ("train", "test")

    def __init__(self, *, count=10):
        self.count = count

    def load(self, root, split):
        labels = np.arange(self.count) % 2
        images = np.zeros((self.count, 6, 4), dtype=np.uint8)
        images[labels == 0, ::2] = 255
        images[labels == 1, :, ::2] = 255
        return ImageSet(images, labels)


class Stored(Stripes):
    """A sound data set that reads one file of each split."""

    def files(self, root, split):
        return (root / "stripes" / f"{split}.npy",)

    def load(self, root, split):
        (path,) = self.files(root, split)
        if not path.is_file():
            raise DataUnavailable(f"{path} is missing")
        try:
            images = np.load(path)
        except (OSError, ValueError, EOFError) as error:
            raise InvalidData(f"{path}: {error}") from error
        return ImageSet(images, np.arange(len(images)) % 2)


class Unnamed(Stripes):
    info = Info(name="", summary="Stripes")


class Positional(Stripes):
    def __init__(self, count=10):
        self.count = count


class NotToBePickled(Stripes):
    def __reduce__(self):
        raise TypeError("cannot pickle a lock")


class FourChannels(Stripes):
    shape = (4, 6, 4)


class WithoutChannels(Stripes):
    shape = (6, 4)


class Shapeless(Stripes):
    shape = None


class WithoutTest(Stripes):
    splits = ("train",)


class FittingNothing(Stripes):
    def fitted(self, shape):
        return type(self)(count=self.count)


class FilesElsewhere(Stored):
    def files(self, root, split):
        return (root.parent / "stripes-elsewhere.npy",)


class TracebackWhenMissing(Stored):
    def load(self, root, split):
        (path,) = self.files(root, split)
        path.stat()
        return super().load(root, split)


class ImagesWhenDamaged(Stored):
    def load(self, root, split):
        (path,) = self.files(root, split)
        if path.is_file() and path.stat().st_size < 10:
            return Stripes.load(self, root, split)
        return super().load(root, split)


class NamelessWhenDamaged(Stored):
    def load(self, root, split):
        try:
            return super().load(root, split)
        except InvalidData as error:
            raise InvalidData("a file is damaged") from error


class Changing(Stripes):
    """Changes what the sound data set loads."""

    def load(self, root, split):
        loaded = super().load(root, split)
        return self.change(loaded.images, loaded.labels)


class InFloats(Changing):
    def change(self, images, labels):
        return ImageSet(images / 255, labels)


class OfAnotherShape(Changing):
    def change(self, images, labels):
        return ImageSet(images[:, :4], labels)


class LabelsOfBytes(Changing):
    def change(self, images, labels):
        return ImageSet(images, labels.astype(np.uint8))


class LabelsFromOne(Changing):
    def change(self, images, labels):
        return ImageSet(images, labels + 1)


class WithoutLabels(Changing):
    def change(self, images, labels):
        return ImageSet(images, np.full_like(labels, -1))


class LabelledWithoutClasses(Stripes):
    num_classes = 0


class Shuffled(Changing):
    def change(self, images, labels):
        return ImageSet(np.random.default_rng().permutation(images), labels)


class Growing(Stripes):
    loads: ClassVar = iter(range(10, 100))

    def load(self, root, split):
        return Stripes(count=next(self.loads)).load(root, split)


class AugmentingImages:
    """Images that change with every access."""

    shape = (10, 6, 4)
    dtype = np.dtype(np.uint8)

    def __getitem__(self, indices):
        noise = np.random.default_rng().integers(256, size=(10, 6, 4), dtype=np.uint8)
        return noise[indices]


class Augmenting(Changing):
    def change(self, images, labels):
        return ImageSet(AugmentingImages(), labels)


BROKEN = [
    (Unnamed, "info"),
    (Positional, "constructor"),
    (NotToBePickled, "pickling"),
    (FourChannels, "declarations"),
    (WithoutChannels, "declarations"),
    (Shapeless, "declarations"),
    (WithoutTest, "declarations"),
    (FittingNothing, "fitted"),
    (FilesElsewhere, "files"),
    (TracebackWhenMissing, "missing_files"),
    (ImagesWhenDamaged, "damaged_files"),
    (NamelessWhenDamaged, "damaged_files"),
    (InFloats, "images_and_labels"),
    (OfAnotherShape, "images_and_labels"),
    (LabelsOfBytes, "images_and_labels"),
    (LabelsFromOne, "images_and_labels"),
    (WithoutLabels, "images_and_labels"),
    (LabelledWithoutClasses, "images_and_labels"),
    (Shuffled, "same_images_every_time"),
    (Growing, "same_images_every_time"),
    (Augmenting, "same_images_every_time"),
]


def test_a_sound_computed_set_passes():
    results = outcomes(Stripes())
    skipped = [name for name, result in results.items() if result == "skipped"]
    assert skipped == ["files", "missing_files", "damaged_files"]
    assert failures(Stripes()) == {}


def test_a_set_of_files_passes_where_they_are(tmp_path, monkeypatch):
    (tmp_path / "stripes").mkdir()
    for split in Stored.splits:
        np.save(tmp_path / "stripes" / f"{split}.npy", Stripes().load(tmp_path, split).images)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    assert set(outcomes(Stored()).values()) == {"passed"}


def test_a_set_of_files_is_skipped_where_they_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    results = outcomes(Stored())
    skipped = [name for name, result in results.items() if result == "skipped"]
    assert skipped == ["images_and_labels", "same_images_every_time"]
    assert failures(Stored()) == {}


@pytest.mark.parametrize(("broken", "name"), BROKEN, ids=lambda item: getattr(item, "__name__", ""))
def test_one_fault_fails_one_check(broken, name):
    assert list(failures(broken())) == [name]


def test_every_check_is_shown_to_fail():
    assert {check.name for check in checks(Stripes())} == {name for _, name in BROKEN}
