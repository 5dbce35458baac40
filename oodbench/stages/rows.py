"""The rows of a file of arrays, selected by seed, in the place of prepared images.

Writes what the stage "prepare" does: ``images.npy`` (n, 1, 1, 1) uint8, which are empty, for their
number; ``labels.npy``, ``indices.npy`` and ``hashes.npy``, by features and logits; and notes down
the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from oodbench.errors import InvalidData
from oodbench.identity.pretrained import HASHES
from oodbench.images.array_files import place_of
from oodbench.images.arrays import Arrays, ArraySet, chunks, rows_of
from oodbench.images.geometry import select
from oodbench.stages import Work

if TYPE_CHECKING:
    from oodbench.plan.specs import PrepareSpec


def run(spec: PrepareSpec, work: Work) -> None:
    """Select rows of ``spec["source"]``.

    Raises:
        InvalidData: if a value of one is NaN or infinite.
    """
    source = spec["source"]
    assert isinstance(source.dataset, ArraySet)
    arrays = source.dataset.open(source.split)
    count = len(arrays.labels)
    at_most = count if spec["at_most"] is None else spec["at_most"]
    indices = select(count, at_most, spec["selection_seed"])
    np.save(work.draft / "images.npy", np.zeros((len(indices), *spec["shape"]), np.uint8))
    np.save(
        work.draft / HASHES, _hashes(arrays, indices, place_of(source.dataset.paths[source.split]))
    )
    np.save(work.draft / "labels.npy", arrays.labels[indices])
    np.save(work.draft / "indices.npy", indices)
    source.verify()
    work.draft.meta.update(
        shape=list(spec["shape"]), num_classes=spec["num_classes"], count=len(indices), note=""
    )


def _hashes(arrays: Arrays, indices: np.ndarray, place: str) -> np.ndarray:
    """Return what tells rows apart, (n,) uint64.

    Raises:
        InvalidData: if a value is NaN or infinite.
    """
    found: list[bytes] = []
    bad = 0
    for part in chunks(len(indices), sum(arrays.widths)):
        own = [rows_of(each, indices[part]) for each in arrays[:2] if each is not None]
        rows = np.concatenate(own, axis=1)
        bad += int((~np.isfinite(rows).all(axis=1)).sum())
        found += [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    if bad:
        raise InvalidData(
            f"{place}: {bad:,} of {len(indices):,} rows have a feature or a logit that is NaN or "
            "infinite in float32"
        )
    return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64)
