"""A user's request, resolved: names to plugins, benchmarks to data, texts to parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from oodbench import hardware
from oodbench.contracts import Benchmark, Detector
from oodbench.errors import InvalidParameter, UnknownName, UserError
from oodbench.images.sources import locate
from oodbench.images.subsets import split_classes
from oodbench.registry.benchmarks import why_unfit
from oodbench.registry.composition import parts_of
from oodbench.registry.lookup import Registry
from oodbench.request.arrays import find_arrays, set_aside
from oodbench.request.classifiers import (
    NoClassifier,
    leave_out_unclassified,
    make_classifier,
    names_of,
)
from oodbench.request.datasets import (
    Auxiliary,
    find_validation_images,
    locate_ood,
    make_dataset,
    make_ood,
    refuse_copies,
    titles_by_group,
)
from oodbench.request.definitions import find_benchmark
from oodbench.request.detectors import find_detectors, leave_out_unvalidated, make_detectors
from oodbench.request.options import Options
from oodbench.request.request import Request
from oodbench.store.paths import data_folder
from oodbench.store.validation import BITS

Parameters = Mapping[str, Mapping[str, Any]]

SLIP = 0.75
"""Names at least as similar as this (`difflib`) are taken for one, misspelt."""


@dataclass(frozen=True)
class Resolved:
    """A request, and what had to be left out of it.

    Attributes:
        request: what to compare.
        benchmark: the benchmark, as changed by the options.
        groups: what tables call the OOD sets of the request, by the name of their group.
        missing: OOD sets whose images cannot be had, with the reason.
        broken: detectors that cannot be loaded, made or planned, with the reason.
        distributions: what installed each plugin that takes part, by its name.
        unsuited: detectors that need more than there is, arrays or no classifier, with the reason.
        head: how the head of the classifier was found, where there are arrays.
        datasets: parameters that were set of data sets, by name.
    """

    request: Request
    benchmark: Benchmark
    groups: dict[str, tuple[str, ...]]
    missing: dict[str, str]
    broken: dict[str, str]
    distributions: dict[str, str]
    unsuited: dict[str, str] = field(default_factory=dict)
    head: str = ""
    datasets: Parameters = field(default_factory=dict)

    def without(self, lost: Mapping[str, str]) -> Resolved:
        """Return the request without some OOD sets, given the reasons by what tables call them.

        Raises:
            UserError: if none is left.
        """
        sets = zip(self.request.titles()[1:], self.request.ood, strict=True)
        ood = [source for title, source in sets if title not in lost]
        missing = self.missing | dict(lost)
        if not ood:
            raise UserError("no OOD set is available: " + "; ".join(missing.values()))
        groups = {
            group: tuple(title for title in titles if title not in lost)
            for group, titles in self.groups.items()
        }
        return dataclasses.replace(
            self,
            request=dataclasses.replace(self.request, ood=ood),
            groups={group: titles for group, titles in groups.items() if titles},
            missing=missing,
        )


def resolve_folds(options: Options, registry: Registry) -> dict[str, Resolved]:
    """Find everything that the options name, by fold; without folds, by an empty name.

    Raises:
        UserError: if something that cannot be left out is unknown, unusable or not to be had.
    """
    benchmark = find_benchmark(options, registry)
    by_fold = benchmark.by_fold()
    if not by_fold:
        return {"": _resolve(options, registry, benchmark)}
    if reason := why_unfit(benchmark):
        raise UserError(f"the folds of benchmark '{benchmark.name}': {reason}")
    found = {name: _resolve(options, registry, own) for name, own in by_fold.items()}
    named: dict[str, str] = {}
    for fold, own in found.items():
        title = own.request.titles()[0]
        if title in named:
            raise UserError(f"the folds {named[title]} and {fold} have the ID set {title}")
        named[title] = fold
    return {
        name: dataclasses.replace(own, request=dataclasses.replace(own.request, fold=name))
        for name, own in found.items()
    }


def resolve(options: Options, registry: Registry, split: str = "test") -> Resolved:
    """Find everything that the options name.

    Args:
        options: what is asked for.
        registry: finds plugins.
        split: the split that is scored: ``"test"``; or ``"train"``, which tuning asks for, of data
            sets that have it.

    Raises:
        UserError: if something that cannot be left out is unknown, unusable or not to be had, or
            the benchmark has folds.
    """
    benchmark = find_benchmark(options, registry)
    if by_fold := benchmark.by_fold():
        first = next(iter(by_fold.values()))
        raise UserError(
            f"benchmark '{benchmark.name}' has folds; name what one is made of: --id '{first.id}' "
            f"--ood '{','.join(first.ood)}' --classifier {benchmark.classifier}"
        )
    return _resolve(options, registry, benchmark, split)


def _resolve(
    options: Options, registry: Registry, benchmark: Benchmark, split: str = "test"
) -> Resolved:
    """Find everything that the options and a definition without folds name."""
    if options.batch_size is not None and options.batch_size < 1:
        raise UserError(f"the batch size must be at least 1, not {options.batch_size}")
    if options.images is not None and options.images < 1:
        raise UserError(f"a set needs at least 1 image, not {options.images}")
    if options.validation_images is not None and options.validation_images < 0:
        raise UserError(f"{options.validation_images} images cannot be held out; 0 holds none out")
    if benchmark.arrays:
        return _resolve_arrays(options, benchmark, registry)
    classifier_seeds = _seeds(options.classifier_seeds, "classifier seeds")
    found, unloaded = find_detectors(options.detectors, registry, classifiers=len(classifier_seeds))
    asked, data = options.parameters or {}, data_folder(options.data)
    makers = names_of(benchmark.classifier, options.arch, registry, asked)
    parameters = _merge_parameters(benchmark, asked, found, makers, registry)
    detectors, unmade = make_detectors(found, registry, parameters)
    classifier = make_classifier(benchmark.classifier, registry, parameters, options.arch)
    unsuited: dict[str, str] = {}
    if isinstance(classifier, NoClassifier):
        refuse_classifier_seeds(options, "there is no classifier")
        unsuited = leave_out_unclassified(detectors)
    seeds = _seeds(options.seeds, "seeds")
    gpus = hardware.resolve_gpus(options.device)
    precision = hardware.resolve_precision(options.precision, gpus)
    id_dataset = make_dataset(benchmark.id, registry, parameters)
    classified = not isinstance(classifier, NoClassifier)
    ood_datasets, lost = make_ood(
        benchmark, id_dataset, registry, parameters, classified=classified
    )
    classifier = classifier.suited(id_dataset)
    # What can be refused at once has been; from here on images are looked for, and fetched.
    train = locate(id_dataset, "train", data, download=options.download)
    test = locate(id_dataset, split, data, download=options.download)
    train, validation, reason = find_validation_images(
        train, benchmark, registry, parameters, data, download=options.download
    )
    if validation is None:
        leave_out_unvalidated(detectors, unmade, reason)
    ood, missing = locate_ood(ood_datasets, lost, split, data, download=options.download)
    refuse_copies(train, test, ood, id_dataset.shape)
    known = train.identities | test.identities
    tested = frozenset().union(*(source.identities for source in ood))
    if validation and validation.share is None and validation.identities & (known | tested):
        raise UserError(
            f"validation images of '{validation.dataset.info.name}' are trained on or tested too; "
            "remove them from one of the sets, or take none: --validation-images 0"
        )
    auxiliary = Auxiliary(known, tested, id_dataset, data, options.download, registry)
    auxiliary.add_detectors(detectors, unmade)
    auxiliary.add_generated(ood)
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
        batch_size=options.batch_size or hardware.BATCH_SIZES["cuda" if gpus else "cpu"],
        cpus=hardware.count_cpus(),
        gpus=gpus,
        weights={} if options.retrain else registry.weights,
        validation=validation,
    )
    used = (
        (registry.detectors, found),
        (registry.classifiers, makers),
        (registry.datasets, _sets(benchmark)),
    )
    groups = titles_by_group(benchmark, ood_datasets, lost, missing)
    return Resolved(
        request,
        benchmark,
        groups,
        missing,
        unloaded | unmade,
        _distributions(*used),
        unsuited,
        datasets={name: parameters[name] for name in _sets(benchmark) if name in parameters},
    )


def refuse_classifier_seeds(options: Options, reason: str) -> None:
    """Raise `UserError` if more than the first classifier is asked for."""
    if options.classifier_seeds not in (1, [0], (0,)):
        raise UserError(f"{reason}: leave out --classifier-seeds")


def _distributions(*used: tuple[Any, Iterable[str]]) -> dict[str, str]:
    """Return what installed each plugin, given tables of plugins and names of those used."""
    return {
        name: names[name].plugin.distribution
        for names, chosen in used
        for name in chosen
        if name in names
    }


def _resolve_arrays(options: Options, benchmark: Benchmark, registry: Registry) -> Resolved:
    """Find the features and logits that a benchmark names, and the detectors that need no more."""
    found, unloaded = find_detectors(options.detectors, registry)
    parameters = _merge_parameters(benchmark, options.parameters or {}, found, (), registry)
    made, unmade = make_detectors(found, registry, parameters)
    arrays = find_arrays(benchmark)
    detectors, unsuited = set_aside(made, arrays)
    refuse_classifier_seeds(options, "arrays are of one classifier")
    gpus = hardware.resolve_gpus(options.device)
    request = Request(
        train=arrays.train,
        test=arrays.test,
        ood=arrays.ood,
        classifier=arrays.classifier,
        detectors=detectors,
        seeds=_seeds(options.seeds, "seeds"),
        images_per_set=benchmark.images_per_set,
        calibration_images=benchmark.calibration_images,
        selection_seed=benchmark.selection_seed,
        batch_size=options.batch_size or hardware.BATCH_SIZES["cuda" if gpus else "cpu"],
        cpus=hardware.count_cpus(),
        gpus=gpus,
        validation=arrays.validation,
    )
    refuse_copies(request.train, request.test, request.ood, request.shape)
    titles = dict(zip(benchmark.ood, request.titles()[1:], strict=True))
    groups = {
        group: tuple(titles[name] for name in members)
        for group, members in benchmark.groups.items()
    }
    return Resolved(
        request,
        benchmark,
        groups,
        {},
        unloaded | unmade,
        _distributions((registry.detectors, found)),
        unsuited,
        arrays.head,
    )


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
    members = {part for name in detectors for part in parts_of(name)}
    used = {*detectors, *members, *classifiers, *_sets(benchmark)}
    known = {*used, *registry.detectors, *registry.classifiers, *registry.datasets}
    for name in benchmark.parameters.keys() - known:
        if name in registry.detectors:  # a composition
            continue
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


def _sets(benchmark: Benchmark) -> list[str]:
    """Return the names of the data sets of a benchmark, without classes in brackets."""
    names = (benchmark.id, *benchmark.ood, benchmark.validation_set)
    return [split_classes(name)[0] for name in names if name]


def _seeds(seeds: int | Sequence[int], what: str) -> tuple[int, ...]:
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
        raise UserError(f"{what} must be a number of at least 1, or different numbers from 0 up")
    if max(chosen).bit_length() > BITS:
        raise UserError(f"{what} must be less than 2**{BITS}")
    return chosen
