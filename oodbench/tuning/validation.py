"""The data that detectors are tuned on: validation images and untested outliers.

The classifier is the one of a run, which has not seen the validation images either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.contracts import Benchmark
from oodbench.errors import UserError
from oodbench.images.folders import SPLITS
from oodbench.images.subsets import ClassSubset, split_classes
from oodbench.images.userdata import is_path
from oodbench.registry.lookup import Registry
from oodbench.request.datasets import make_dataset
from oodbench.request.definitions import find_benchmark
from oodbench.request.options import Options
from oodbench.request.resolution import Resolved, resolve
from oodbench.store.paths import data_folder


@dataclass(frozen=True)
class Validation:
    """The data to tune on.

    Attributes:
        benchmark: the benchmark to tune for, with its test sets.
        resolved: a request whose ID test images are the validation images, whose OOD sets are the
            validation outliers, and whose detectors have the parameters that a run would give them.
    """

    benchmark: Benchmark
    resolved: Resolved


def find_validation(
    options: Options, outliers: Sequence[str] | None, images: int, registry: Registry
) -> Validation:
    """Find validation images and outliers for the benchmark that the options name.

    Args:
        options: as of a run.
        outliers: names of data sets, or paths to images; None for those that the benchmark
            declares, or without any, those that ship for it.
        images: images of each set at most.
        registry: finds plugins.

    Raises:
        UserError: if the request cannot be served, an outlier set is a test set, or the benchmark
            holds no validation images out.
    """
    if images < 1:
        raise UserError(f"tuning needs at least 1 image of each set, not {images}")
    benchmark = find_benchmark(options, registry)
    chosen = _choose_outliers(outliers, benchmark, registry, data_folder(options.data))
    resolved = resolve(dataclasses.replace(options, ood=chosen), registry, split="train")
    held_out = resolved.request.validation
    if held_out is None:
        raise UserError(
            f"benchmark '{benchmark.name}' has no validation images, which detectors are tuned on; "
            "--validation-images 1000 holds some out"
        )
    request = dataclasses.replace(
        resolved.request, test=held_out, validation=None, images_per_set=images
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
    for name in chosen:
        if any(_overlap(name, tested, registry, data) for tested in (benchmark.id, *benchmark.ood)):
            raise UserError(
                f"'{name}' is the ID set or an OOD test set of benchmark '{benchmark.name}'; tune "
                "against another one: --validation-outliers NAME"
            )
    return chosen


def _overlap(one: str, other: str, registry: Registry, data: Path) -> bool:
    """Return whether two data sets may have images in common, other classes of one set apart."""
    if not any(
        place.is_relative_to(tested) or tested.is_relative_to(place)
        for place in _places(one, data)
        for tested in _places(other, data)
    ):
        return False
    if split_classes(one)[1] is None or split_classes(other)[1] is None:
        return True
    sets = (make_dataset(name, registry) for name in (one, other))
    first, second = ({*each.classes} for each in sets if isinstance(each, ClassSubset))
    return not first.isdisjoint(second)


def _places(name: str, data: Path) -> Iterator[Path]:
    """Yield the places where the images of a data set may be, without reading them."""
    whole, _ = split_classes(name)
    base = Path(whole) if is_path(whole) else data / whole
    yield base.resolve()
    for split in SPLITS:
        yield Path(f"{base}-{split}.npz").resolve()
