"""The evaluation of a detector on one set: the measures of one record.

Writes ``measures.json``: the measures by column name, and ``fit_seconds`` and ``score_seconds``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from oodbench.images.npy import ArrayFile, predicted_classes
from oodbench.measures.evaluation import correctness, evaluate_id, evaluate_ood
from oodbench.stages import Work

if TYPE_CHECKING:
    from oodbench.plan.specs import EvaluateSpec


def run(spec: EvaluateSpec, work: Work) -> None:  # noqa: ARG001 (all is in the inputs)
    """Evaluate the scores "id" and "calibration", and on an OOD set those of "ood"."""
    inputs = work.inputs
    logits = ArrayFile.open(inputs["id_extract"] / "logits.npy")
    labels = np.load(inputs["id_extract"] / "labels.npy")
    correct = correctness(labels, predicted_classes(logits)) if logits.shape[1] else None
    scores = {
        f"{role}_scores": np.load(inputs[role] / "scores.npy")
        for role in ("id", "calibration", "ood")
        if role in inputs
    }
    row = (evaluate_ood if "ood" in inputs else evaluate_id)(**scores, correct=correct)
    scored = inputs["ood" if "ood" in inputs else "id"].meta
    row |= {name: scored[name] for name in ("fit_seconds", "score_seconds")}
    (work.draft / "measures.json").write_text(json.dumps(row), encoding="utf-8")
