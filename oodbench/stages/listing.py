"""The labels and places of images, in the place of a forward pass where there is no classifier.

Writes what the stage "extract" does; of features and logits, which there are none of, d and k are
0. Notes down ``count``, ``forwarded``, which is 0, and the data set's ``note``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oodbench.stages import Work
from oodbench.stages.selection import positions_of

if TYPE_CHECKING:
    from oodbench.plan.specs import Part


def run(spec: Part, work: Work) -> None:
    """List the part ``spec["part"]`` of the images."""
    images = work.inputs["images"]
    labels, indices = (np.load(images / f"{name}.npy") for name in ("labels", "indices"))
    chosen = positions_of(spec["part"], len(indices), spec["count"], spec["selection_seed"])
    nothing = np.empty((len(chosen), 0), np.float32)
    np.save(work.draft / "features.npy", nothing)
    np.save(work.draft / "logits.npy", nothing)
    np.save(work.draft / "positions.npy", chosen)
    np.save(work.draft / "labels.npy", labels[chosen])
    np.save(work.draft / "indices.npy", indices[chosen])
    work.draft.meta.update(count=len(chosen), forwarded=0, note=images.meta["note"])
