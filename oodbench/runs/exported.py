"""Features and logits of a run, written as a folder that a run on arrays, and other tools, read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import UserError, reason_of
from oodbench.images.array_files import write_arrays
from oodbench.images.arrays import HEAD_FILE, OOD, TEST, TRAIN, VALIDATION
from oodbench.registry.lookup import Registry
from oodbench.request.arrays import DEFINITION
from oodbench.request.classifiers import remake
from oodbench.results.run import Run
from oodbench.runs.networks import artifacts_of
from oodbench.stages.modules import load_classifier
from oodbench.store.artifacts import Artifact, Store
from oodbench.store.paths import as_name, distinct_names

SUFFIX = ".safetensors"

PARTS = {TRAIN: ("calibration", "rest"), VALIDATION: ("validation",)}
"""The splits of the ID set that files hold; those that no detector asked for are not there."""


def export_arrays(run: Run, store: Store, registry: Registry, folder: Path) -> Path:
    """Write what the first classifier of a run made of every set, its head, and a definition.

    A run on the folder by its definition has the same figures for detectors that need no more.

    Args:
        run: the run.
        store: its artifact store.
        registry: finds its classifier.
        folder: made if it is missing.

    Returns:
        The definition of the benchmark.

    Raises:
        UserError: if the run has no classifier, an artifact is not in the store, or the folder
            cannot be written to.
    """
    if NO_CLASSIFIER in run.info["request"]["classifier"]:
        raise UserError("the run has no classifier, whose features and logits could be written")
    seed = run.info["request"]["classifier_seeds"][0]
    outputs = {
        (entry["dataset"], entry["split"]): entry["artifact"]
        for entry in artifacts_of(run.info)["outputs"]
        if entry["classifier_seed"] == seed
    }
    id_dataset = str(run.records["id_dataset"].iloc[0])
    sets = list(run.records.loc[run.records["ood_dataset"] != "", "ood_dataset"].unique())
    names = _names(sets)
    tests = {
        part: _open(store, outputs[title, "test"])
        for title, part in {id_dataset: TEST, **names}.items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, splits in PARTS.items():
            listed = [outputs[id_dataset, each] for each in splits if (id_dataset, each) in outputs]
            if made := [each for each in map(store.find_written, listed) if each is not None]:
                write_arrays(folder / f"{part}{SUFFIX}", _joined(made))
        for part, artifact in tests.items():
            write_arrays(folder / f"{part}{SUFFIX}", _joined([artifact]))
        if head := _head(run, store, registry, seed):
            write_arrays(folder / f"{HEAD_FILE}{SUFFIX}", head)
        path = folder / DEFINITION
        path.write_text(_definition(run, id_dataset, names), "utf-8")
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {reason_of(error)}") from error
    return path


def _names(titles: list[str]) -> dict[str, str]:
    """Return the name of each OOD set's file, which has its title, where that can be one."""

    def name_of(title: str) -> str:
        return f"{OOD}{title if as_name(title) == title.lower() else as_name(title)}"

    return distinct_names(titles, name_of)


def _open(store: Store, written: str) -> Artifact:
    """Return an artifact.

    Raises:
        UserError: if it is not in the store.
    """
    artifact = store.find_written(written)
    if artifact is None:
        what = "the outputs of the classifier are not all"
        raise UserError(f"{what} in the store '{store}': name that of the run, or run it again")
    return artifact


def _joined(parts: list[Artifact]) -> dict[str, np.ndarray]:
    """Return features, logits and labels of the images of some parts, in their order."""
    parts = [part for part in parts if part.meta["count"]]
    order = np.argsort(np.concatenate([np.load(part / "positions.npy") for part in parts]))
    found = {}
    for name in ("features", "logits", "labels"):
        array = np.concatenate([np.load(part / f"{name}.npy") for part in parts])
        if array.ndim == 1 or array.shape[1]:
            found[name] = array[order]
    return found


def _head(run: Run, store: Store, registry: Registry, seed: int) -> dict[str, Any]:
    """Return weight and bias of the classifier's head; nothing if it is not one linear layer."""
    entries = [
        each for each in artifacts_of(run.info)["classifiers"] if each["classifier_seed"] == seed
    ]
    if not entries:
        return {}
    classifier = remake(run.info["request"]["classifier"], registry)
    module = load_classifier(classifier, _open(store, entries[0]["artifact"]), "cpu")
    head = module.head
    if not isinstance(head, nn.Linear):
        return {}
    bias = np.zeros(head.out_features, np.float32) if head.bias is None else head.bias
    return {"weight": head.weight, "bias": bias}


def _definition(run: Run, id_dataset: str, names: Mapping[str, str]) -> str:
    """Return the TOML file by which the arrays make the benchmark of a run."""
    request = run.info["request"]
    classifier = str(run.records["classifier"].iloc[0])
    ood = {title: name.removeprefix(OOD) for title, name in names.items()}
    lines = [
        f"name = {_quoted(as_name(run.info['benchmark'] + ' arrays'))}",
        'arrays = "."',
        f"id = {_quoted(id_dataset)}",
        f"ood = [{', '.join(_quoted(name) for name in ood.values())}]",
        f"classifier = {_quoted(classifier)}",
        f"images_per_set = {max(request['images_per_set'], 1)}",
        f"calibration_images = {max(request['calibration_images'], 1)}",
        f"selection_seed = {request['selection_seed']}",
    ]
    groups = {
        group: [ood[title] for title in titles if title in ood]
        for group, titles in request.get("groups", {}).items()
    }
    if any(groups.values()):
        lines += ["", "[groups]"]
        lines += [
            f"{_quoted(group)} = [{', '.join(map(_quoted, members))}]"
            for group, members in groups.items()
            if members
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a text as TOML, whose basic strings are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
