"""Guards made from finished runs."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from oodbench.contracts import Detector, Need, Trainable
from oodbench.errors import FigureUnavailable, UserError, reason_of
from oodbench.guard.folder import (
    CALIBRATION,
    CLASSIFIER,
    DETECTOR,
    copy_part,
    write_card,
)
from oodbench.guard.graph import GRAPH, write_graph
from oodbench.guard.guard import PREDICTIONS, SCORES, Guard
from oodbench.measures.arrays import Scores
from oodbench.measures.conformal import conformal_threshold
from oodbench.registry.lookup import Registry
from oodbench.request.classifiers import BASE
from oodbench.request.detectors import asks_for
from oodbench.results.run import Run
from oodbench.runs.networks import artifacts_of
from oodbench.runs.restored import Restorer
from oodbench.stages.modules import WEIGHTS
from oodbench.store.artifacts import Artifact, Store

ALPHAS = (0.01, 0.05, 0.1)
"""Rates of false alarms whose thresholds the card states."""

MEASURES = ("auroc", "auroc_low", "auroc_high", "fpr95", "acc95", "oscr", "n_id", "n_ood")
"""What the card says of each OOD set."""


def export_guard(
    run: Run,
    detector: str,
    folder: Path,
    store: Store,
    registry: Registry,
    *,
    onnx: bool = False,
) -> Mapping[str, Any]:
    """Write a guard of a run's detector, as the first seeds trained it, and return its card.

    The scores that thresholds come from are computed anew, in float32 and by the guard itself,
    whatever precision the run had.

    Args:
        run: a finished run.
        detector: its name.
        folder: to be made.
        store: where the run's artifacts are.
        registry: the installed plugins.
        onnx: whether to write classifier and detector as an ONNX graph too.

    Raises:
        UserError: if the run has no such detector, it failed, the run has no classifier, the
            folder exists, or no ONNX graph gives the detector's scores.
        FigureUnavailable: if something is not in the store any more.
    """
    own = run.records[run.records["detector"] == detector]
    if own.empty:
        known = ", ".join(run.records["detector"].unique())
        raise UserError(f"the run has no detector '{detector}'; it has {known}")
    if folder.exists():
        raise UserError(f"'{folder}' exists; name a folder that does not")
    if not artifacts_of(run.info)["classifiers"]:
        raise UserError("a guard protects a classifier, and the run has none")
    restorer = Restorer(run.info, store, registry)
    found = restorer.detector(detector)
    if isinstance(found.trainable, Detector) and found.trainable.ensemble:
        raise UserError(f"a guard has one classifier, and {detector} scores by several")
    entry = found.entry
    records = _records_of(own, restorer.classifier_seed, entry["seed"] if entry else None)
    kind, images = _calibration_images(run.info, restorer, found.trainable)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
            path = Path(draft) / "guard"
            copy_part(restorer.trained, (WEIGHTS,), path / CLASSIFIER)
            if entry is not None:
                fitted = restorer.open(entry["artifact"], f"the fitted {detector}")
                copy_part(fitted, ("state.safetensors", "state.json"), path / DETECTOR)
            card = _describe(run, detector, entry, records, restorer)
            uncalibrated = Guard(write_card(path, card), registry)
            calibration = torch.from_numpy(np.load(images / "images.npy"))
            judged = uncalibrated(calibration)
            if onnx:
                write_graph(uncalibrated, calibration, path / GRAPH)
            save_file({SCORES: judged.scores, PREDICTIONS: judged.predictions}, path / CALIBRATION)
            card |= _decide(judged.scores, kind, card)
            written = write_card(path, card).card
            path.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write to '{folder}': {reason_of(error)}") from error
    return written


def _records_of(own: pd.DataFrame, classifier_seed: int, seed: int | None) -> pd.DataFrame:
    """Return the records of one fit of a detector, those of sets on which it failed left out.

    Raises:
        UserError: if it failed on the ID set.
    """
    own = own[own["classifier_seed"] == classifier_seed]
    if seed is not None:
        own = own[own["seed"] == seed]
    succeeded: pd.DataFrame = own[own["status"] == "ok"]
    if not (succeeded["ood_dataset"] == "").any():
        name, error = own.iloc[0][["detector", "error"]]
        raise UserError(f"{name} failed in the run: {error}")
    return succeeded


def _calibration_images(
    info: Mapping[str, Any], restorer: Restorer, detector: Trainable
) -> tuple[str, Artifact]:
    """Return ID images that nothing has learned from, and what they are.

    These are the validation images; and the test images if there are none, if the detector was
    fitted on them, or if the classifier was trained elsewhere and may have seen them.

    Raises:
        FigureUnavailable: if they are not in the store.
    """
    artifacts = artifacts_of(info)
    trained_here = "train_accuracy" in restorer.trained.meta
    if (
        "validation_images" in artifacts
        and trained_here
        and not asks_for(detector, Need.VALIDATION)
    ):
        found = restorer.open(artifacts["validation_images"], "the set of validation images")
        if found.meta["count"]:
            return "validation", found
    if "test_images" not in artifacts:
        raise FigureUnavailable(
            "run.json is of an older oodbench and does not say where its images are; repeat the run"
        )
    return "test", restorer.open(artifacts["test_images"], "the set of ID test images")


def _describe(
    run: Run,
    detector: str,
    entry: Mapping[str, Any] | None,
    records: pd.DataFrame,
    restorer: Restorer,
) -> dict[str, Any]:
    """Return what a card says of detector, classifier and run."""
    info, request = run.info, run.info["request"]
    first = records.iloc[0]
    shown = (*records.columns[records.columns.isin(MEASURES)],)
    return {
        "images": {
            "id_dataset": first["id_dataset"],
            "shape": list(restorer.shape),
            "num_classes": restorer.num_classes,
            "fingerprints": request["fingerprints"],
        },
        "detector": {
            "name": detector,
            "made": {detector: request["detectors"][detector]},
            "plugin": info["plugins"].get(detector, ""),
            "seed": None if entry is None else entry["seed"],
            "paper": info.get("papers", {}).get(detector),
            "deviations": info["deviations"].get(detector, ""),
        },
        "classifier": {
            "name": first["classifier"],
            "made": request["classifier"],
            "plugin": ", ".join(dict.fromkeys(_plugins_of(request["classifier"], info))),
            "seed": int(first["classifier_seed"]),
            "id_accuracy": _finite(first["id_accuracy"]),
        },
        "measures": [
            {"ood_dataset": row["ood_dataset"]} | {name: _finite(row[name]) for name in shown}
            for row in records[records["ood_dataset"] != ""].to_dict("records")
        ],
        "run": {
            name: info[name]
            for name in ("key", "benchmark", "request", "versions", "hardware", "plugins", "notes")
            if name in info
        },
    }


def _plugins_of(made: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    """Yield the distributions of a classifier and of those that it is derived from."""
    for name, values in made.items():
        found = info["plugins"].get(name) or info["plugins"].get(name.partition("/")[0])
        if found:
            yield found
        yield from _plugins_of(values.get(BASE, {}), info)


def _decide(scores: Scores, kind: str, card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card says of thresholds, of what the guard is for, and of its limits."""
    name, count = card["images"]["id_dataset"], len(scores)
    tested = ", ".join(row["ood_dataset"] for row in card["measures"]) or "none"
    return {
        "calibration": {"images": kind, "count": count, "precision": "float32"},
        "thresholds": {
            f"{alpha:g}": _finite(conformal_threshold(alpha, scores)) for alpha in ALPHAS
        },
        "intended_use": (
            f"Rejects inputs that do not look like images of {name}, before the predictions of "
            f"{card['classifier']['name']} are used."
        ),
        "limits": [
            f"At alpha, at most that share of inputs that are drawn as the {count:,} {kind} images "
            f"of {name} were is rejected, over the draw of both. Where inputs have changed, for "
            "instance by another camera, nothing is promised.",
            f"How many OOD inputs are rejected was measured on these sets alone: {tested}.",
            "Inputs are resized whatever their aspect ratio, and made grey where the classifier "
            "sees grey images.",
        ],
    }


def _finite(value: float) -> float | None:
    """Return a number as JSON can hold it; None where there is none, or it is infinite."""
    return float(value) if math.isfinite(value) else None
