"""The benchmark that a user asks for: by name, by the path of its definition, or made up."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from oodbench.contracts import Benchmark
from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import UnknownName, UserError
from oodbench.images.subsets import split_classes
from oodbench.images.userdata import is_path
from oodbench.registry.benchmarks import load_benchmark
from oodbench.registry.lookup import Registry
from oodbench.request.arrays import define
from oodbench.request.datasets import make_dataset, refuse_bare_path
from oodbench.request.options import Options
from oodbench.store.paths import as_name, expanded


def find_benchmark(options: Options, registry: Registry) -> Benchmark:
    """Return the benchmark that the options name, with their ID set, OOD sets and classifier.

    Raises:
        UserError: if there is none, or no way to make one up.
    """
    given = options.benchmark if isinstance(options.benchmark, Benchmark) else None
    name = given.name if given else str(options.benchmark or options.id or "")
    if options.arrays is not None and name:
        raise UserError(f"name a folder of arrays or '{name}', not both")
    if not name and options.arrays is None:
        raise UserError("name a benchmark or an ID data set: --id mnist, or --benchmark my.toml")
    changes: dict[str, Any] = {}
    if options.arrays is not None:
        benchmark = define(expanded(str(options.arrays)))
    elif given:
        benchmark = given
    elif name.endswith(".toml"):
        benchmark = load_benchmark(expanded(name))
    elif name in registry.benchmarks or options.benchmark:
        benchmark = registry.benchmarks[name].target
    else:
        benchmark = _made_up(name, options, registry)
    if options.benchmark and options.id:
        changes["id"] = str(options.id)
    if options.ood is not None:
        benchmark = benchmark.with_ood([str(each) for each in options.ood])
    if options.classifier is not None:
        changes["classifier"] = str(options.classifier)
    if options.images is not None:
        changes["images_per_set"] = options.images
    if options.validation_images is not None:
        changes |= {"validation_images": options.validation_images, "validation_set": ""}
    return dataclasses.replace(benchmark, **changes)


def _made_up(name: str, options: Options, registry: Registry) -> Benchmark:
    """Return a benchmark for an ID set that no definition is about."""
    whole, _ = split_classes(name)
    if not is_path(name) and whole not in registry.datasets:
        refuse_bare_path(name)
        known = {*registry.benchmarks, *registry.datasets}
        raise UnknownName("benchmark or ID data set", name, known)
    if options.ood is None or options.classifier is None:
        make_dataset(name, registry)  # or it says what is wrong with a path
        lacking = []
        if options.ood is None:
            lacking.append("OOD sets by --ood NAME,...")
        if options.classifier is None:
            listed = ", ".join(registry.classifiers)
            lacking.append(f"a classifier by --classifier NAME ({listed}) or {NO_CLASSIFIER}")
        raise UserError(
            f"there is no benchmark for the ID set '{name}'; name {' and '.join(lacking)}"
        )
    return Benchmark(
        name=as_name(Path(name).stem), id=name, ood=(), classifier=str(options.classifier)
    )
