"""Features and logits that were computed elsewhere, in the place of a forward pass.

Writes what the stage "extract" does, in float32; of arrays that there are none of, d or k is 0.
Logits that are missing are computed from features, where the head is known. Notes down ``count``,
``forwarded``, which is 0, and ``note``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from oodbench.images.arrays import ArraySet, chunks, rows_of
from oodbench.images.npy import ArrayFile
from oodbench.stages import Work
from oodbench.stages.modules import load_classifier
from oodbench.stages.selection import positions_of

if TYPE_CHECKING:
    from oodbench.plan.specs import ArraysSpec


def run(spec: ArraysSpec, work: Work) -> None:
    """Copy the part ``spec["part"]`` of the selected rows of ``spec["source"]``."""
    source = spec["source"]
    assert isinstance(source.dataset, ArraySet)
    arrays = source.dataset.open(source.split)
    labels, indices = (
        np.load(work.inputs["images"] / f"{name}.npy") for name in ("labels", "indices")
    )
    positions = positions_of(spec["part"], len(indices), spec["count"], spec["selection_seed"])
    chosen = indices[positions]
    for name, array in (("features", arrays.features), ("logits", arrays.logits)):
        if array is None:
            np.save(work.draft / f"{name}.npy", np.empty((len(chosen), 0), np.float32))
        else:
            _copy(array, chosen, work, name)
    if arrays.logits is None and "classifier" in work.inputs:
        _apply_head(spec, work)
    source.verify()
    np.save(work.draft / "positions.npy", positions)
    np.save(work.draft / "labels.npy", labels[positions])
    np.save(work.draft / "indices.npy", chosen)
    work.draft.meta.update(count=len(positions), forwarded=0, note="")


def _copy(array: np.ndarray, chosen: np.ndarray, work: Work, name: str) -> None:
    if not len(chosen):
        np.save(work.draft / f"{name}.npy", np.empty((0, array.shape[1]), np.float32))
        return
    shape = (len(chosen), array.shape[1])
    file = ArrayFile.create(work.draft / f"{name}.npy", np.dtype(np.float32), shape)
    for part in chunks(*shape):
        file.write(part.start, rows_of(array, chosen[part]))
        work.progress(part.stop, len(chosen))


def _apply_head(spec: ArraysSpec, work: Work) -> None:
    """Write the logits that the head makes of the features."""
    module = load_classifier(spec["classifier"], work.inputs["classifier"], "cpu")
    features = ArrayFile.open(work.draft / "features.npy")
    file = None
    for part in chunks(*features.shape):
        with torch.inference_mode():
            rows = module.head(torch.from_numpy(rows_of(features, part))).numpy()  # type: ignore[operator]
        if file is None:
            path, shape = work.draft / "logits.npy", (len(features), rows.shape[1])
            file = ArrayFile.create(path, rows.dtype, shape)
        file.write(part.start, rows)
