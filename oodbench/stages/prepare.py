"""The preparation of images: selected by seed and fitted to the ID geometry.

Writes ``images.npy`` (n, c, h, w) uint8, ``labels.npy`` (n,) int64, ``indices.npy`` (n,) int64,
the positions in the data set, and ``hashes.npy`` (n,) uint64, which tell images apart; notes down
``shape`` and ``num_classes`` of the ID data set, ``count`` and ``note``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oodbench.contracts import ImageSet
from oodbench.identity.pretrained import HASHES
from oodbench.images.fitting import write_fitted
from oodbench.images.geometry import select
from oodbench.images.sources import Source
from oodbench.stages import Work

if TYPE_CHECKING:
    from oodbench.plan.specs import PrepareSpec, Selection


def run(spec: PrepareSpec, work: Work) -> None:
    """Prepare the images of ``spec["source"]``; of validation images there may be none."""
    source: Source = spec["source"]
    found = source.load()
    write_images(found, source.positions(found.labels), spec, work)
    source.verify()


def write_images(found: ImageSet, positions: np.ndarray, spec: Selection, work: Work) -> None:
    """Select among some images, fit them to ``spec["shape"]``, and write what the stage leaves."""
    shape = spec["shape"]
    at_most = len(positions) if spec["at_most"] is None else spec["at_most"]
    indices = positions[select(len(positions), at_most, spec["selection_seed"])]
    path = work.draft / "images.npy"
    hashes = write_fitted(
        found.images, indices, shape, path, cpus=work.cpus, progress=work.progress
    )
    np.save(work.draft / HASHES, hashes)
    np.save(work.draft / "labels.npy", found.labels[indices])
    np.save(work.draft / "indices.npy", indices)
    work.draft.meta.update(
        shape=list(shape), num_classes=spec["num_classes"], count=len(indices), note=found.note
    )
