"""The options that ask for what a finished run asked for, from its ``run.json``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from oodbench.contracts import Benchmark
from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import InvalidData, UserError
from oodbench.registry.lookup import Registry
from oodbench.request.arrays import GivenClassifier
from oodbench.request.classifiers import BASE, remake
from oodbench.request.options import Options
from oodbench.request.user_weights import UserCheckpoint, UserCheckpoints
from oodbench.results.files import read_info
from oodbench.runs.options import RunOptions
from oodbench.store.paths import expanded

ALLOWED = frozenset({"data", "device", "download", "retrain", "batch_size", "classifier"})
"""Options beside ``--locked`` that say how or where, and where a user's weights are."""

ELSEWHERE = (
    "runs on arrays, and of scores computed elsewhere, cannot be repeated: nothing in them says "
    "how the arrays or scores were computed"
)


def repeat(options: RunOptions, registry: Registry) -> RunOptions:
    """Return options that repeat the run that ``options.locked`` names.

    Raises:
        UserError: if an option asks for something else, or the run cannot be repeated.
    """
    for each in fields(Options):
        default = each.default if each.default is not dataclasses.MISSING else {}
        if each.name not in ALLOWED and getattr(options, each.name) != default:
            flag = "set" if each.name == "parameters" else each.name.replace("_", "-")
            raise UserError(f"--locked repeats a whole request: leave out --{flag}")
    info = read_info(expanded(str(options.locked)))
    if "given" in info:
        raise UserError(ELSEWHERE)
    request = info["request"]
    classifier, parameters = _classifier(request["classifier"], options, registry)
    return dataclasses.replace(
        options,
        benchmark=_benchmark(info, registry),
        classifier=classifier,
        arch=parameters.pop("arch", None),
        parameters=parameters,
        detectors=[
            registry.detectors[name].create(**values)
            for name, values in request["detectors"].items()
        ],
        seeds=request["seeds"],
        classifier_seeds=request["classifier_seeds"],
        precision=request["precision"],
        batch_size=options.batch_size or request["batch_size"],
    )


def _benchmark(info: Mapping[str, Any], registry: Registry) -> Benchmark:
    """Return the definition of a run's benchmark, with what the run changed.

    Raises:
        InvalidData: if it has folds that its ID set does not depend on.
    """
    request, name = info["request"], info["benchmark"]
    folds = tuple(info.get("folds", ()))
    placeholder = re.search(r"\{([^{}]+)\}", request["id"])
    if folds and placeholder is None:
        raise InvalidData(f"the run has folds, and its ID set '{request['id']}' none")
    known = Benchmark(name=name, id="", ood=(), classifier="")
    if name in registry.benchmarks:
        known = registry.benchmarks[name].target
    return dataclasses.replace(
        known.with_ood(request["ood"]),
        id=request["id"],
        images_per_set=request["images_per_set"],
        calibration_images=request["calibration_images"],
        validation_images=request["validation_images"],
        validation_set="" if request["validation_images"] else known.validation_set,
        selection_seed=request["selection_seed"],
        folds={placeholder[1]: folds} if folds and placeholder else {},
        parameters={**known.parameters, **request.get("datasets", {})},
    )


def _classifier(
    recorded: Mapping[str, Any], options: RunOptions, registry: Registry
) -> tuple[str, dict[str, Any]]:
    """Return the name of a run's classifier, and parameters by the names of plugins.

    Raises:
        UserError: if it cannot be made any more, or is a file of weights that is not named.
    """
    ((name, values),) = recorded.items()
    if name == NO_CLASSIFIER:
        return name, {}
    made = remake(recorded, registry)
    if isinstance(made, GivenClassifier):
        raise UserError(ELSEWHERE)
    if isinstance(made, UserCheckpoint | UserCheckpoints):
        if options.classifier is None:
            raise UserError(f"the run is of the weights {name}: name them, --classifier FILE")
        own = dataclasses.replace(options, classifier=None)
        base, parameters = _classifier(values[BASE], own, registry)
        return str(options.classifier), {**parameters, "arch": base}
    if options.classifier is not None:
        raise UserError("--locked repeats a whole request: leave out --classifier")
    taken = {BASE, getattr(made, "argument", "")}
    parameters = {made.info.name: {key: own for key, own in values.items() if key not in taken}}
    if BASE in values:
        parameters |= _classifier(values[BASE], options, registry)[1]
    return name, parameters
