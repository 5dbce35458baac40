"""The data that detectors are tuned on: held-out ID training images and untested outliers.

The held-out images are kept from the detectors, not from the classifier: it is the one of a run,
trained on all training images, and costs no further training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oodbench.contracts import Benchmark, Dataset, ImageSet
from oodbench.errors import UserError
from oodbench.identity.keys import digest
from oodbench.images.sources import Source
from oodbench.images.userdata import is_path
from oodbench.registry.lookup import Registry
from oodbench.request.options import Options
from oodbench.request.resolution import Resolved, find_benchmark, resolve
from oodbench.stages.selection import positions_of
from oodbench.store.paths import data_folder

HELD_OUT_STREAM = 2
"""Separates the draw of held-out images from other draws by the same seed."""

HELD_OUT_SHARE = 5
"""At most one training image out of this many is held out."""


@dataclass(frozen=True)
class Validation:
    """The data to tune on.

    Attributes:
        benchmark: the benchmark to tune for, with its test sets.
        resolved: a request whose ID test images are the held-out ones, whose OOD sets are the
            validation outliers, and whose detectors have the parameters that a run would give them.
    """

    benchmark: Benchmark
    resolved: Resolved


def find_validation(
    options: Options, outliers: Sequence[str] | None, images: int, registry: Registry
) -> Validation:
    """Find held-out images and validation outliers for the benchmark that the options name.

    Args:
        options: as of a run.
        outliers: names of data sets, or paths to images; None for those that the benchmark
            declares, or without any, those that ship for it.
        images: images of each set at most.
        registry: finds plugins.

    Raises:
        UserError: if the request cannot be served, or an outlier set is a test set.
    """
    if images < 1:
        raise UserError(f"tuning needs at least 1 image of each set, not {images}")
    benchmark = find_benchmark(options, registry)
    chosen = _choose_outliers(outliers, benchmark, registry, data_folder(options.data))
    resolved = resolve(dataclasses.replace(options, ood=chosen), registry, split="train")
    whole = resolved.request.train
    held_out, rest = (_part(whole, benchmark, images, is_held_out) for is_held_out in (True, False))
    request = dataclasses.replace(
        resolved.request, test=held_out, train=rest, taught=whole, images_per_set=images
    )
    return Validation(benchmark, dataclasses.replace(resolved, request=request))


def _choose_outliers(
    asked: Sequence[str] | None, benchmark: Benchmark, registry: Registry, data: Path
) -> Sequence[str]:
    shipped = (name for name, entry in registry.datasets.items() if entry.target.validates)
    chosen = asked or benchmark.validation
    chosen = chosen or [name for name in shipped if name not in benchmark.ood]
    if not chosen:
        raise UserError("there are no outliers to tune against: name some, --validation-outliers A")
    tested = [place for name in (benchmark.id, *benchmark.ood) for place in _places(name, data)]
    for name in chosen:
        if any(_overlap(place, other) for place in _places(name, data) for other in tested):
            raise UserError(
                f"'{name}' is the ID set or an OOD test set of benchmark '{benchmark.name}'; tune "
                "against another one: --validation-outliers NAME"
            )
    return chosen


def _places(name: str, data: Path) -> Iterator[Path]:
    """Yield the places where the images of a data set may be, without reading them."""
    base = Path(name) if is_path(name) else data / name
    yield base.resolve()
    for split in ("train", "test"):
        yield Path(f"{base}-{split}.npz").resolve()


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _part(whole: Source, benchmark: Benchmark, images: int, is_held_out: bool) -> Source:
    """Return the held-out ID training images as a source, or the rest of them."""
    part = _Part(whole, benchmark, images, is_held_out)
    identity = {
        "of": whole.fingerprint,
        "part": part.title,
        "images": images,
        "calibration": benchmark.calibration_images,
        "seed": benchmark.selection_seed,
    }
    return Source(part, part.title, whole.root, None, digest(identity))


class _Part(Dataset):
    """Some of the training images of the ID set."""

    def __init__(self, whole: Source, benchmark: Benchmark, images: int, is_held_out: bool) -> None:
        self.info = whole.dataset.info
        self.shape = whole.dataset.shape
        self.num_classes = whole.dataset.num_classes
        self.title = "held out" if is_held_out else "not held out"
        self._whole = whole
        self._benchmark = benchmark
        self._images = images
        self._is_held_out = is_held_out

    def load(self, root: Path, split: str) -> ImageSet:
        found = self._whole.load()
        chosen = hold_out(len(found), self._images, self._benchmark)
        if not self._is_held_out:
            chosen = np.setdiff1d(np.arange(len(found)), chosen)
        taken = ImageSet(found.images[chosen], found.labels[chosen], found.note)
        self._whole.verify()
        return taken


def hold_out(count: int, at_most: int, benchmark: Benchmark) -> np.ndarray:
    """Draw the training images that detectors are tuned on and must not be fitted on.

    They are not those that a run takes thresholds from, as far as there are enough others.

    Args:
        count: number of training images.
        at_most: how many to draw at most; of few images, a fifth is drawn.
        benchmark: says how many images thresholds are taken from, and has the seed.

    Returns:
        (m,) int64, ascending positions.

    Raises:
        UserError: if there are too few images to hold one out.
    """
    seed = benchmark.selection_seed
    generator = np.random.Generator(np.random.Philox(seed + (HELD_OUT_STREAM << 32)))
    order = [
        generator.permutation(positions_of(part, count, benchmark.calibration_images, seed))
        for part in ("rest", "calibration")
    ]
    chosen = np.concatenate(order)[: min(at_most, count // HELD_OUT_SHARE)]
    if not len(chosen):
        raise UserError(f"of {count} ID training images none can be held out to tune on")
    return np.sort(chosen)
