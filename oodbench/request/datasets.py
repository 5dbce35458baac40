"""Data sets made from what users ask for, and their images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oodbench.contracts import (
    Benchmark,
    Classifier,
    CustomClassifier,
    Dataset,
    Detector,
    GeneratedDataset,
    Trainable,
)
from oodbench.errors import (
    DataUnavailable,
    InvalidData,
    OodbenchError,
    PluginError,
    UserError,
    describe,
)
from oodbench.images.geometry import title_in
from oodbench.images.sources import Source, locate
from oodbench.images.userdata import UserImages, is_path
from oodbench.registry.isolation import isolated
from oodbench.registry.lookup import Registry

Parameters = Mapping[str, Mapping[str, Any]]


def make_dataset(
    name: str,
    registry: Registry,
    parameters: Parameters | None = None,
    shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """Return the data set of a name or path, fitted to the geometry of the ID set if one is given.

    Raises:
        UserError: if there is none, or a parameter does not fit.
        PluginError: if it cannot be made.
    """
    if is_path(name):
        return UserImages(path=name)
    if name not in registry.datasets:
        refuse_bare_path(name)
    entry = registry.datasets[name]
    try:
        with isolated():
            dataset = entry.create(**(parameters or {}).get(name, {}))
            return dataset if shape is None else dataset.fitted(shape)
    except OodbenchError:
        raise
    except Exception as error:  # third-party code may raise anything
        raise PluginError(f"data set '{name}' cannot be made: {describe(error)}") from error


def refuse_bare_path(name: str) -> None:
    """Raise `UserError` if a name that no data set has is that of a file or folder."""
    with suppress(OSError):  # which a name that is too long raises
        if Path(name).exists():
            raise UserError(f"no data set is called '{name}'; for the images in it write ./{name}")


def make_ood(
    benchmark: Benchmark, id_dataset: Dataset, registry: Registry, parameters: Parameters
) -> tuple[dict[str, Dataset], dict[str, str]]:
    """Return the OOD sets by their titles, and the reasons why some cannot be made.

    Raises:
        UserError: if two are called alike, one is unknown, or a parameter does not fit.
    """
    shape = id_dataset.shape
    names = {id_dataset.info.label: benchmark.id}
    made: dict[str, Dataset] = {}
    lost: dict[str, str] = {}
    for name in benchmark.ood:
        try:
            dataset = make_dataset(name, registry, parameters, shape)
        except (PluginError, InvalidData) as error:
            lost[name] = str(error)
            continue
        title = title_in(dataset, shape)
        if title in names:
            raise UserError(f"two data sets are called {title}: '{names[title]}' and '{name}'")
        names[title] = name
        made[title] = dataset
    return made, lost


def locate_ood(
    datasets: Mapping[str, Dataset],
    lost: Mapping[str, str],
    split: str,
    folder: Path,
    *,
    download: bool,
) -> tuple[list[Source], dict[str, str]]:
    """Find the images of the OOD sets; add the reasons why some are unavailable to the lost.

    Args:
        datasets: by what tables call them.
        lost: reasons of those that break, by title.
        split: of those that have it; of the others it is the test split.
        folder: the data folder.
        download: whether to fetch missing images.

    Raises:
        UserError: if no set can be had.
    """
    sources: list[Source] = []
    missing = dict(lost)
    for title, dataset in datasets.items():
        own = split if split in dataset.splits else "test"
        try:
            sources.append(locate(dataset, own, folder, download=download))
        except (DataUnavailable, PluginError) as error:
            missing[title] = str(error)
    if not sources:
        raise UserError("no OOD set is available: " + "; ".join(missing.values()))
    return sources, missing


def find_validation_images(
    train: Source,
    benchmark: Benchmark,
    registry: Registry,
    parameters: Parameters,
    folder: Path,
    *,
    download: bool,
) -> tuple[Source, Source | None, str]:
    """Return the images to train on, the validation images, and why there are none.

    Args:
        train: all ID training images.
        benchmark: says where the validation images come from.
        registry: finds data sets.
        parameters: of plugins, by name.
        folder: the data folder.
        download: whether to fetch missing images.

    Raises:
        UserError: if there is no such data set.
    """
    if benchmark.validation_set:
        try:
            shape = train.dataset.shape
            dataset = make_dataset(benchmark.validation_set, registry, parameters, shape)
            return train, locate(dataset, "test", folder, download=download), ""
        except (DataUnavailable, PluginError) as error:
            return train, None, str(error)
    if benchmark.held_out:
        rest, held_out = train.shared(benchmark.held_out, benchmark.selection_seed)
        return rest, held_out, ""
    reason = f"benchmark '{benchmark.name}' holds none out; --validation-images 1000 does"
    return train, None, reason


def titles_by_group(
    benchmark: Benchmark,
    made: Mapping[str, Dataset],
    lost: Mapping[str, str],
    missing: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Return the titles of the members of each group whose images were found."""
    names = (name for name in benchmark.ood if name not in lost)
    titles = {name: title for name, title in zip(names, made, strict=True) if title not in missing}
    return {
        group: tuple(titles[name] for name in members)
        for group, members in benchmark.groups_among(titles).items()
    }


def refuse_copies(
    train: Source, test: Source, ood: Sequence[Source], shape: tuple[int, int, int]
) -> None:
    """Raise an error if an OOD set has the files of the ID set or of another OOD set.

    Raises:
        UserError: if there is one.
    """
    id_files = train.contents | test.contents
    if test.contents and test.contents <= train.contents and test.split != train.split:
        raise UserError(f"the test images of '{test.dataset.info.label}' are its training images")
    seen: dict[frozenset[str], str] = {}
    for source in ood:
        title = title_in(source.dataset, shape)
        if source.contents and source.contents <= id_files:
            raise UserError(
                f"the OOD set '{title}' holds ID images and nothing else; name another one"
            )
        first = seen.setdefault(source.contents or source.identities, title)
        if first != title:
            raise UserError(
                f"the OOD sets '{first}' and '{title}' are the same images; name one of them"
            )


@dataclass
class Auxiliary:
    """The auxiliary sets that detectors and the classifier learn from.

    Attributes:
        id_images: what identifies the ID images (`Source.identities`).
        tested: what identifies the OOD images.
        id_dataset: to whose geometry images are fitted.
        folder: the data folder.
        download: whether to fetch missing images.
        registry: finds data sets.
        found: what was found, by name.
    """

    id_images: Set[str]
    tested: Set[str]
    id_dataset: Dataset
    folder: Path
    download: bool
    registry: Registry
    found: dict[str, Source] = field(default_factory=dict)

    def add_detectors(self, detectors: dict[str, Detector], broken: dict[str, str]) -> None:
        """Find the sets that detectors need; move detectors without their images to ``broken``."""
        for name, detector in list(detectors.items()):
            try:
                self._find_all(detector, name)
            except (DataUnavailable, PluginError) as error:
                broken[name] = str(error)
                del detectors[name]

    def add_generated(self, sources: Iterable[Source]) -> None:
        """Find the sets that the networks of generated OOD sets learn from.

        Raises:
            DataUnavailable: if it cannot be had.
        """
        for source in sources:
            if isinstance(source.dataset, GeneratedDataset):
                self._find_all(source.dataset, source.dataset.info.name)

    def add_classifier(self, classifier: Classifier) -> None:
        """Find the set that the classifier asks for.

        Raises:
            DataUnavailable: if it cannot be had.
        """
        if isinstance(classifier, CustomClassifier):
            self._find(classifier.auxiliary(), classifier.full_name)

    def _find_all(self, owner: Trainable | GeneratedDataset, learner: str) -> None:
        """Find the sets that a detector or generated set, and each of its parts, learns from."""
        if isinstance(owner, Trainable):
            self._find(owner.auxiliary(), learner)
        for part in owner.parts().values():
            self._find_all(part, learner)

    def _find(self, name: str | None, learner: str) -> None:
        if name is None or name in self.found:
            return
        dataset = make_dataset(name, self.registry, shape=self.id_dataset.shape)
        split = "train" if "train" in dataset.splits else "test"
        source = locate(dataset, split, self.folder, download=self.download)
        if source.identities & self.tested:
            raise UserError(f"{learner} would learn from the images of '{name}' that are tested")
        if source.identities & self.id_images:
            raise UserError(f"{learner} would learn that the ID images of '{name}' are outliers")
        self.found[name] = source
