"""Resolve what a user asks for: names to plugins, benchmarks to data, texts to parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from oodbench import hardware
from oodbench.benchmarks import load_benchmark
from oodbench.classifiers import make_classifier, names_of
from oodbench.contracts import (
    Benchmark,
    Classifier,
    CustomClassifier,
    Dataset,
    Detector,
    Need,
    Trainable,
)
from oodbench.errors import (
    DataUnavailable,
    InvalidParameter,
    OodbenchError,
    PluginError,
    UnknownName,
    UserError,
)
from oodbench.images import title_in
from oodbench.jobs import Request
from oodbench.keys import digest, plugin_key
from oodbench.plugins import describe
from oodbench.registry import Registry
from oodbench.sources import Source, locate
from oodbench.userdata import UserImages, is_path

Parameters = Mapping[str, Mapping[str, Any]]

SLIP = 0.75
"""Names at least as similar as this (`difflib`) are taken for one, misspelt."""

ALL = "all"
"""Asks for every registered detector."""

FAMILY = "all-"
"""Asks, before the name of a family, for every registered detector of it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run, as asked for; the arguments of `oodbench.run` and of ``oodbench run``.

    Attributes:
        id: name of a benchmark or of an ID data set, or a path to images.
        benchmark: name of a benchmark, or path of a TOML file; instead of, or beside, ``id``.
        detectors: names, or detector objects of your own.
        ood: names of data sets, or paths to images, in place of the benchmark's OOD sets.
        classifier: name of the classifier, in place of the benchmark's; or a file of its weights.
        arch: name of the classifier whose network that file is of.
        seeds: seeds of what detectors draw; a number n means 0 to n - 1.
        classifier_seeds: seeds of the classifiers; likewise.
        parameters: parameters by plugin name: ``{"ganad": {"recipe": "paper"}}``.
        data: the data folder.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        precision: ``"auto"``, ``"bfloat16"`` or ``"float32"``.
        batch_size: images in a forward pass.
        download: whether to fetch images that are not there.
        retrain: whether to train even what there are shipped weights of.
        split: the split that is scored: ``"test"``; or ``"train"``, which tuning asks for, of
            data sets that have it.
    """

    id: str | None = None
    benchmark: str | None = None
    detectors: Sequence[str | Detector] = (ALL,)
    ood: Sequence[str] | None = None
    classifier: str | None = None
    arch: str | None = None
    seeds: int | Sequence[int] = 1
    classifier_seeds: int | Sequence[int] = 1
    parameters: Parameters = field(default_factory=dict)
    data: Path
    device: str = "auto"
    precision: str = "auto"
    batch_size: int = 500
    download: bool = True
    retrain: bool = False
    split: str = "test"


@dataclass(frozen=True)
class Resolved:
    """A request, and what could not be made part of it.

    Attributes:
        request: what to compare.
        benchmark: the benchmark, as changed by the options.
        groups: what tables call the OOD sets of the request, by the name of their group.
        missing: OOD sets whose images cannot be had, with the reason.
        broken: detectors that cannot be loaded, made or planned, with the reason.
        distributions: what installed each plugin that takes part, by its name.
    """

    request: Request
    benchmark: Benchmark
    groups: dict[str, tuple[str, ...]]
    missing: dict[str, str]
    broken: dict[str, str]
    distributions: dict[str, str]


def resolve(options: Options, registry: Registry) -> Resolved:
    """Find everything that the options name.

    Raises:
        UserError: if something that cannot be left out is unknown, unusable or not to be had.
    """
    if options.batch_size < 1:
        raise UserError(f"the batch size must be at least 1, not {options.batch_size}")
    benchmark = find_benchmark(options, registry)
    found, unloaded = _find_detectors(options.detectors, registry)
    makers = names_of(benchmark.classifier, options.arch, registry, options.parameters)
    parameters = _merge_parameters(benchmark, options.parameters, found, makers, registry)
    detectors, unmade = _make_detectors(found, registry, parameters)
    classifier = make_classifier(benchmark.classifier, registry, parameters, options.arch)
    seeds = _seeds(options.seeds, "seeds")
    classifier_seeds = _seeds(options.classifier_seeds, "classifier seeds")
    gpus = hardware.resolve_gpus(options.device)
    precision = hardware.resolve_precision(options.precision, gpus)
    id_dataset = make_dataset(benchmark.id, registry, parameters)
    ood_datasets, lost = _make_ood(benchmark, id_dataset, registry, parameters)
    # What can be refused at once has been; from here on images are looked for, and fetched.
    train = locate(id_dataset, "train", options.data, download=options.download)
    test = locate(id_dataset, options.split, options.data, download=options.download)
    ood, missing = _locate_ood(ood_datasets, lost, options)
    known = {source.fingerprint for source in (train, test)}
    tested = {source.fingerprint for source in ood}
    auxiliary = _Auxiliary(known, tested, id_dataset, options, registry)
    auxiliary.add_detectors(detectors, unmade)
    auxiliary.add_classifier(classifier)
    request = Request(
        train=train,
        test=test,
        ood=ood,
        classifier=classifier,
        detectors=detectors,
        auxiliary=auxiliary.found,
        seeds=seeds,
        classifier_seeds=classifier_seeds,
        images_per_set=benchmark.images_per_set,
        calibration_images=benchmark.calibration_images,
        selection_seed=benchmark.selection_seed,
        precision=precision,
        batch_size=options.batch_size,
        cpus=hardware.count_cpus(),
        gpus=gpus,
        weights={} if options.retrain else registry.weights,
    )
    used = (
        (registry.detectors, found),
        (registry.classifiers, makers),
        (registry.datasets, [benchmark.id, *benchmark.ood]),
    )
    distributions = {
        name: names[name].plugin.distribution
        for names, chosen in used
        for name in chosen
        if name in names
    }
    groups = _titles_by_group(benchmark, ood_datasets, lost, missing)
    return Resolved(request, benchmark, groups, missing, unloaded | unmade, distributions)


def find_benchmark(options: Options, registry: Registry) -> Benchmark:
    """Return the benchmark that the options name, with their ID set, OOD sets and classifier.

    Raises:
        UserError: if there is none, or no way to make one up.
    """
    name = options.benchmark or options.id
    if name is None:
        raise UserError("name a benchmark or an ID data set: --id mnist, or --benchmark my.toml")
    changes: dict[str, Any] = {}
    if name.endswith(".toml"):
        benchmark = load_benchmark(Path(name))
    elif name in registry.benchmarks or options.benchmark:
        benchmark = registry.benchmarks[name].target
    else:
        benchmark = _made_up(name, options, registry)
    if options.benchmark and options.id:
        changes["id"] = options.id
    if options.ood is not None:
        benchmark = benchmark.with_ood(options.ood)
    if options.classifier is not None:
        changes["classifier"] = options.classifier
    return dataclasses.replace(benchmark, **changes)


def _made_up(name: str, options: Options, registry: Registry) -> Benchmark:
    """Return a benchmark for an ID set that no definition is about."""
    if not is_path(name) and name not in registry.datasets:
        known = {*registry.benchmarks, *registry.datasets}
        raise UnknownName("benchmark or ID data set", name, known)
    if options.ood is None or options.classifier is None:
        raise UserError(
            f"there is no benchmark for the ID set '{name}'; say which OOD sets and which "
            f"classifier: --ood NAME,... --classifier {'|'.join(registry.classifiers)}"
        )
    return Benchmark(name=Path(name).stem, id=name, ood=(), classifier=options.classifier)


def _find_detectors(
    asked: Sequence[str | Detector], registry: Registry
) -> tuple[dict[str, Detector | None], dict[str, str]]:
    """Return the detectors by name, None where the registry has the class, and the broken ones."""
    found: dict[str, Detector | None] = {}
    broken: dict[str, str] = {}
    for detector in asked:
        if isinstance(detector, Detector):
            if detector.info.name in found:
                raise UserError(f"two detectors are called '{detector.info.name}'")
            found[detector.info.name] = detector
        elif detector == ALL:
            found.update(dict.fromkeys(registry.detectors))
        elif detector.startswith(FAMILY) and detector not in registry.detectors:
            found.update(dict.fromkeys(_family(detector, registry)))
        elif detector not in registry.detectors and (reason := registry.why_missing(detector)):
            broken[detector] = reason
        else:
            found[registry.detectors[detector].name] = None
    if not found and not broken:
        raise UserError("name at least one detector: --detectors energy,msp")
    return found, broken


def _family(asked: str, registry: Registry) -> list[str]:
    """Return the names of the detectors that ``all-<family>`` asks for."""
    families = {name: registry.detectors[name].target.family for name in registry.detectors}
    found = [name for name, family in families.items() if FAMILY + family == asked]
    if not found:
        known = {FAMILY + family for family in families.values() if family}
        raise UnknownName("family of detectors", asked, known)
    return found


def _make_detectors(
    found: Mapping[str, Detector | None], registry: Registry, parameters: Parameters
) -> tuple[dict[str, Detector], dict[str, str]]:
    """Return the detectors as objects, and the reasons of those that break before they are used."""
    made: dict[str, Detector] = {}
    broken: dict[str, str] = {}
    for name, detector in found.items():
        try:
            if detector is None:
                detector = registry.detectors[name].create(**parameters.get(name, {}))
            _identify(detector)
        except UserError:
            raise
        except Exception as error:  # a stranger's constructor may raise anything
            broken[name] = describe(error)
        else:
            made[name] = detector
    return made, broken


def _identify(trainable: Trainable) -> None:
    """Raise what planning would raise if a detector or one of its parts cannot be planned."""
    for name in ("needs", "fit_needs"):
        value = getattr(trainable, name)
        optional = name == "fit_needs" and value is None
        if not optional and not (
            isinstance(value, frozenset) and all(isinstance(each, Need) for each in value)
        ):
            raise PluginError(
                f"{type(trainable).__name__}.{name} must be a frozenset of Need, not {value!r}"
            )
    trainable.auxiliary()
    digest(plugin_key(trainable))
    for part in trainable.parts().values():
        _identify(part)


def _merge_parameters(
    benchmark: Benchmark,
    asked: Parameters,
    detectors: Mapping[str, Any],
    classifiers: Sequence[str],
    registry: Registry,
) -> dict[str, dict[str, Any]]:
    """Return the benchmark's parameters, overridden by those asked for.

    Those that a benchmark sets for a plugin that is not installed are ignored, unless its name
    looks like a slip.
    """
    used = {*detectors, *classifiers, benchmark.id, *benchmark.ood}
    known = {*used, *registry.detectors, *registry.classifiers, *registry.datasets}
    for name in benchmark.parameters.keys() - known:
        if get_close_matches(name, known, n=1, cutoff=SLIP) and not registry.why_missing(name):
            where = f"(its parameters are set by benchmark '{benchmark.name}')"
            raise UnknownName("plugin", name, known, where)
    for name, values in asked.items():
        if name not in used:
            raise UnknownName(
                "plugin in this run", name, used, f"(--set {name}.{next(iter(values))})"
            )
        if isinstance(detectors.get(name), Detector):
            raise InvalidParameter(f"detector '{name}' was given as an object; set it up there")
    merged = {name: dict(values) for name, values in benchmark.parameters.items() if name in used}
    for name, values in asked.items():
        merged.setdefault(name, {}).update(values)
    return merged


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
    entry = registry.datasets[name]
    try:
        dataset = entry.create(**(parameters or {}).get(name, {}))
        return dataset if shape is None else dataset.fitted(shape)
    except OodbenchError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise PluginError(f"data set '{name}' cannot be made: {describe(error)}") from error


def _make_ood(
    benchmark: Benchmark, id_dataset: Dataset, registry: Registry, parameters: Parameters
) -> tuple[dict[str, Dataset], dict[str, str]]:
    """Return the OOD sets by what tables call them, and the reasons of those that break."""
    shape = id_dataset.shape
    names = {id_dataset.info.label: benchmark.id}
    made: dict[str, Dataset] = {}
    lost: dict[str, str] = {}
    for name in benchmark.ood:
        try:
            dataset = make_dataset(name, registry, parameters, shape)
        except PluginError as error:
            lost[name] = str(error)
            continue
        title = title_in(dataset, shape)
        if title in names:
            raise UserError(f"two data sets are called {title}: '{names[title]}' and '{name}'")
        names[title] = name
        made[title] = dataset
    return made, lost


def _titles_by_group(
    benchmark: Benchmark,
    made: Mapping[str, Dataset],
    lost: Mapping[str, str],
    missing: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Return what tables call the members of each group whose images were found."""
    names = (name for name in benchmark.ood if name not in lost)
    titles = {name: title for name, title in zip(names, made, strict=True) if title not in missing}
    return {
        group: tuple(titles[name] for name in members)
        for group, members in benchmark.groups_among(titles).items()
    }


def _locate_ood(
    datasets: Mapping[str, Dataset], lost: Mapping[str, str], options: Options
) -> tuple[list[Source], dict[str, str]]:
    """Find the images of the OOD sets; add the reasons of those that cannot be had to the lost."""
    sources: list[Source] = []
    missing = dict(lost)
    for title, dataset in datasets.items():
        split = options.split if options.split in dataset.splits else "test"
        try:
            sources.append(locate(dataset, split, options.data, download=options.download))
        except (DataUnavailable, PluginError) as error:
            missing[title] = str(error)
    if not sources:
        raise UserError("no OOD set can be had: " + "; ".join(missing.values()))
    return sources, missing


@dataclass
class _Auxiliary:
    """Find what detectors and the classifier learn from besides the ID set.

    Attributes:
        id_images: fingerprints of the ID images.
        tested: fingerprints of the OOD images.
        id_dataset: to whose geometry images are fitted.
        options: where to look for images.
        registry: finds data sets.
        found: what was found, by name.
    """

    id_images: Set[str]
    tested: Set[str]
    id_dataset: Dataset
    options: Options
    registry: Registry
    found: dict[str, Source] = field(default_factory=dict)

    def add_detectors(self, detectors: dict[str, Detector], broken: dict[str, str]) -> None:
        """Find what detectors ask for; move those whose images cannot be had to ``broken``."""
        for detector, name in [(key, each.auxiliary()) for key, each in detectors.items()]:
            try:
                self._find(name, detector)
            except (DataUnavailable, PluginError) as error:
                broken[detector] = str(error)
                del detectors[detector]

    def add_classifier(self, classifier: Classifier) -> None:
        """Find what the classifier asks for.

        Raises:
            DataUnavailable: if it cannot be had.
        """
        if isinstance(classifier, CustomClassifier):
            self._find(classifier.auxiliary(), classifier.full_name)

    def _find(self, name: str | None, learner: str) -> None:
        if name is None or name in self.found:
            return
        dataset = make_dataset(name, self.registry, shape=self.id_dataset.shape)
        split = "train" if "train" in dataset.splits else "test"
        source = locate(dataset, split, self.options.data, download=self.options.download)
        if source.fingerprint in self.tested:
            raise UserError(f"{learner} would learn from the images of '{name}' that are tested")
        if source.fingerprint in self.id_images:
            raise UserError(f"{learner} would learn that the ID images of '{name}' are outliers")
        self.found[name] = source


def _seeds(seeds: int | Sequence[int], what: str) -> tuple[int, ...]:
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
        raise UserError(f"{what} must be a number of at least 1, or different numbers from 0 up")
    return chosen
