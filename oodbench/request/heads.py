"""The head of a classifier of which features and logits are given: read, or fitted, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from oodbench.errors import InvalidData
from oodbench.images.array_files import place_of, read_arrays
from oodbench.images.arrays import HEAD, HEAD_FILE, TRAIN, Arrays, Folder, rows_of

FITTED_ON = 20_000
"""Rows of ID training data that a head is fitted on at most, or four times as many as features."""

RESIDUAL = 0.01
"""How far logits may be from those of the head: root mean square, as a share of their deviation."""

SAMPLE = 2_000
"""Rows of each set that the head is checked on at most."""


class Head(NamedTuple):
    """The head of a classifier, or why it is unknown.

    Attributes:
        weight: (k, d) float32, or None.
        bias: (k,) float32, or None.
        note: how it was found, or why not.
    """

    weight: np.ndarray | None
    bias: np.ndarray | None
    note: str


def find_head(folder: Folder, sets: Mapping[str, Arrays]) -> Head:
    """Return the head that is given, or else the one that features and logits determine.

    Raises:
        InvalidData: if the one that is given does not fit.
    """
    if folder.head is None:
        if not all(sets[TRAIN].widths):
            return Head(None, None, f"there is no {HEAD_FILE}.npz, .safetensors or .parquet")
        weight, bias = _fit_head(sets[TRAIN])
        residual = _residual(weight, bias, sets)
        said = f"fitted by least squares, off by {_percent(residual)} of the logits' deviation"
        if residual > RESIDUAL:
            return Head(None, None, f"there is no file of it, and one {said}, cannot be used")
        return Head(weight, bias, said)
    weight, bias = _read_head(folder.head, *sets[TRAIN].widths)
    if all(sets[TRAIN].widths):
        residual = _residual(weight, bias, sets)
        if residual > RESIDUAL:
            raise InvalidData(
                f"{place_of(folder.head)}: is not the head of these arrays: its logits differ from "
                f"theirs by {_percent(residual)} of their deviation"
            )
    return Head(weight, bias, "given")


def _read_head(path: Path, features: int, logits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight (k, d) and bias (k,) that are given, float32.

    Args:
        path: of their file.
        features: d, or 0 where sets have none.
        logits: k, or 0 where sets have none.

    Raises:
        InvalidData: if they have other shapes, or a value is not finite.
    """
    place = place_of(path)
    found = read_arrays(path, HEAD)
    for name in HEAD:
        if name not in found:
            raise InvalidData(f"{place}: no array named '{name}' in it")
    weight, bias = (rows_of(np.atleast_1d(found[name]), slice(None)) for name in HEAD)
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
        raise InvalidData(f"{place}: weight {weight.shape} and bias {bias.shape}, not (k, d), (k,)")
    if not np.isfinite(weight).all() or not np.isfinite(bias).all():
        raise InvalidData(f"{place}: a weight is NaN or infinite")
    if weight.shape[1] != (features or weight.shape[1]) or len(weight) != (logits or len(weight)):
        raise InvalidData(
            f"{place}: maps {weight.shape[1]} features to {len(weight)} logits, and a row of "
            f"{TRAIN} has {features} features and {logits} logits"
        )
    return weight, bias


def _some(arrays: Arrays, at_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and logits of evenly spaced rows, those that are finite, float64."""
    count = len(arrays.labels)
    places = np.unique(np.linspace(0, count - 1, min(count, at_most)).astype(np.int64))
    assert arrays.features is not None
    assert arrays.logits is not None
    features, logits = (rows_of(each, places).astype(np.float64) for each in arrays[:2])  # type: ignore[arg-type]
    finite = np.isfinite(features).all(axis=1) & np.isfinite(logits).all(axis=1)
    return features[finite], logits[finite]


def _fit_head(train: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (k, d) and bias (k,), float32, by least squares on ID training data."""
    features, logits = _some(train, max(FITTED_ON, 4 * (train.widths[0] + 1)))
    design = np.column_stack([features, np.ones(len(features))])
    solution = np.linalg.lstsq(design, logits, rcond=None)[0]
    return tuple(np.ascontiguousarray(part, np.float32) for part in (solution[:-1].T, solution[-1]))  # type: ignore[return-value]


def _residual(weight: np.ndarray, bias: np.ndarray, sets: Mapping[str, Arrays]) -> float:
    """Return how far logits are from those of a head, of the set where they are farthest.

    It is a share of their deviation from the mean of ID training data, that of the set or of the
    training data, whichever is larger: a set may be of one row. Rows that are not finite are left
    out, since the run refuses them when it reads them.
    """
    train = _some(sets[TRAIN], SAMPLE)[1]
    if not len(train):
        return 0.0
    centre = train.mean(axis=0)
    known = _root_mean_square(train - centre)
    found = [0.0]
    for arrays in (arrays for part, arrays in sets.items() if part != TRAIN):
        features, logits = _some(arrays, SAMPLE)
        off = _root_mean_square(features @ weight.T.astype(np.float64) + bias - logits)
        found.append(off / (max(known, _root_mean_square(logits - centre)) or 1.0))
    return max(found)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:,.2f} %" if share >= 0.0001 else "less than 0.01 %"
