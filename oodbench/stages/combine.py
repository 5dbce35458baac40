"""The logits of several classifiers for the same images, as if they were one.

Writes what the stage "extract" does but for the features: ``logits.npy`` float32, those of s
classifiers side by side, (n, s k), or if probabilities are averaged the logarithms of their mean,
(n, k); ``positions.npy``, ``labels.npy`` and ``indices.npy``.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from oodbench.images.npy import ArrayFile, slices, take_rows
from oodbench.stages import Work

if TYPE_CHECKING:
    from oodbench.plan.specs import CombineSpec


def run(spec: CombineSpec, work: Work) -> None:
    """Combine the outputs "member:0", "member:1", and so on, of the same images."""
    members = [work.inputs[f"member:{number}"] for number in range(len(work.inputs))]
    logits = [ArrayFile.open(member / "logits.npy") for member in members]
    count, width = len(logits[0]), sum(each.shape[1] for each in logits)
    shape = (count, logits[0].shape[1] if spec["averaged"] else width)
    file = ArrayFile.create(work.draft / "logits.npy", np.dtype(np.float32), shape)
    for part in slices(count, 8 * width):
        rows = [take_rows(each, part) for each in logits]
        combined = _log_mean(rows) if spec["averaged"] else np.concatenate(rows, axis=1)
        file.write(part.start, combined.astype(np.float32))
    for name in ("positions.npy", "labels.npy", "indices.npy"):
        shutil.copyfile(members[0] / name, work.draft / name)
    work.draft.meta.update({name: members[0].meta[name] for name in ("count", "note")})


def _log_mean(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logarithms (n, k) float64 of the mean probabilities of logits (n, k)."""
    stacked = np.stack(logits).astype(np.float64)
    shifted = stacked - stacked.max(axis=2, keepdims=True)
    of_each = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    found: np.ndarray = np.logaddexp.reduce(of_each, axis=0) - np.log(len(logits))
    return found
