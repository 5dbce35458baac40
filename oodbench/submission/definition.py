"""What a benchmark's definition expects of a run, as far as its images are available."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.contracts import Benchmark, Dataset
from oodbench.errors import OodbenchError
from oodbench.images.geometry import select, title_in
from oodbench.images.sources import locate
from oodbench.registry.lookup import Registry
from oodbench.request.classifiers import make_classifier, record
from oodbench.request.datasets import make_dataset
from oodbench.stages.selection import positions_of

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ExpectedSet:
    """The images of one set, if they are available.

    Attributes:
        fingerprint: what the run must have noted down.
        indices: (n,) int64, the images that the protocol draws: of test sets those that are scored,
            of training images those that thresholds are taken from.
        labels: (n,) int64, the classes of test images.
    """

    fingerprint: str
    indices: Integers | None = None
    labels: Integers | None = None


@dataclass(frozen=True)
class Definition:
    """The expectations of a benchmark's definition of a run.

    Attributes:
        benchmark: the definition itself.
        id_title: what tables call the ID set.
        ood_titles: what they call the OOD sets.
        groups: titles of OOD sets by the name of a group, such as near.
        classifier: the parameters of the classifier, by its name as runs note it down.
        train: the ID training images; None where they are not here.
        sets: ID and OOD test sets that are here, by title.
        absent: why others are not, by title.
    """

    benchmark: Benchmark
    id_title: str
    ood_titles: tuple[str, ...]
    groups: Mapping[str, list[str]]
    classifier: Mapping[str, Any]
    train: ExpectedSet | None
    sets: Mapping[str, ExpectedSet]
    absent: Mapping[str, str]


def define(benchmark: Benchmark, registry: Registry, data: Path) -> Definition:
    """Return the expectations of a benchmark.

    Args:
        benchmark: the definition.
        registry: finds its data sets and its classifier.
        data: folder of images; nothing is downloaded.

    Raises:
        UserError: if a data set or the classifier is not installed.
    """
    chosen = benchmark.parameters
    id_dataset = make_dataset(benchmark.id, registry, chosen)
    shape = id_dataset.shape
    ood = {
        title_in(dataset, shape): dataset
        for name in benchmark.ood
        for dataset in [make_dataset(name, registry, chosen).fitted(shape)]
    }
    titles = dict(zip(benchmark.ood, ood, strict=True))
    classifier = make_classifier(benchmark.classifier, registry, chosen)
    sets: dict[str, ExpectedSet] = {}
    absent: dict[str, str] = {}
    for title, dataset in {id_dataset.info.label: id_dataset, **ood}.items():
        try:
            sets[title] = _expect(dataset, benchmark, data)
        except OodbenchError as error:
            absent[title] = str(error)
    try:
        train = _expect_training(id_dataset, benchmark, data)
    except OodbenchError:
        train = None
    return Definition(
        benchmark=benchmark,
        id_title=id_dataset.info.label,
        ood_titles=tuple(ood),
        groups={
            group: [titles[name] for name in names] for group, names in benchmark.groups.items()
        },
        classifier=record(classifier),
        train=train,
        sets=sets,
        absent=absent,
    )


def _expect_training(dataset: Dataset, benchmark: Benchmark, data: Path) -> ExpectedSet:
    source = locate(dataset, "train", data, download=False)
    rest, _ = source.shared(benchmark.held_out, benchmark.selection_seed)
    learned = rest.positions(source.load().labels)
    chosen = positions_of(
        "calibration", len(learned), benchmark.calibration_images, benchmark.selection_seed
    )
    return ExpectedSet(source.fingerprint, learned[chosen])


def _expect(dataset: Dataset, benchmark: Benchmark, data: Path) -> ExpectedSet:
    source = locate(dataset, "test", data, download=False)
    labels = source.load().labels
    indices = select(len(labels), benchmark.images_per_set, benchmark.selection_seed)
    return ExpectedSet(source.fingerprint, indices, labels[indices])
