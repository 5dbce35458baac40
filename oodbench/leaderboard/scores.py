"""A run's table of scores, split by fitted detector and OOD set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow

from oodbench.measures.arrays import Flags
from oodbench.measures.evaluation import correctness

Fitted: TypeAlias = tuple[str, int, int | None]
"""A detector's name, the seed of its classifier, and its own seed; None where it draws nothing."""


@dataclass(frozen=True)
class Scored:
    """What one fitted detector scored in one data set, in the order of the images.

    Attributes:
        index: (n,) int64, positions of the images in their split.
        score: (n,) as computed, float32 or wider.
    """

    index: npt.NDArray[np.int64]
    score: npt.NDArray[np.floating]


@dataclass(frozen=True)
class Judged:
    """Whether a classifier is right about the ID test images, in their order.

    Attributes:
        index: (n,) int64, positions of the images in their split.
        correct: (n,) bool.
    """

    index: npt.NDArray[np.int64]
    correct: Flags

    def of(self, scored: Scored) -> Flags | None:
        """Return whether it is right about each image that was scored; None if one is not here."""
        place = np.searchsorted(self.index, scored.index)
        if len(self.index) and np.array_equal(self.index.take(place, mode="clip"), scored.index):
            return self.correct[place]
        return None


def judge(table: pyarrow.Table, id_dataset: str) -> dict[int, Judged]:
    """Return what a run's table of predictions says of the ID test images, by classifier seed.

    Nothing is said of images that have no label.

    Args:
        table: columns as in `oodbench.results.columns.PREDICTION`.
        id_dataset: title of the ID set.

    Raises:
        ValueError, pyarrow.ArrowException: if a column holds values of a wrong type.
    """
    if not table.num_rows:
        return {}
    sets, set_names = _categories(table, "dataset")
    splits, split_names = _categories(table, "split")
    seeds, index, labels, predictions = (
        _integers(table, name) for name in ("classifier_seed", "index", "label", "prediction")
    )
    own = np.isin(sets, [place for place, name in enumerate(set_names) if name == id_dataset])
    own &= np.isin(splits, [place for place, name in enumerate(split_names) if name == "test"])
    found = {}
    for seed in np.unique(seeds[own]):
        chosen = np.flatnonzero(own & (seeds == seed))
        chosen = chosen[np.argsort(index[chosen], kind="stable")]
        correct = correctness(labels[chosen], predictions[chosen])
        if correct is not None:
            found[int(seed)] = Judged(index[chosen], correct)
    return found


def take_apart(table: pyarrow.Table) -> Iterator[tuple[Fitted, dict[str, Scored]]]:
    """Yield the scores of test images for each fitted detector, by data set.

    Args:
        table: columns as in `oodbench.results.columns.SCORE`, in any order of rows.

    Raises:
        ValueError, pyarrow.ArrowException: if a column holds values of a wrong type.
    """
    detectors, detector_names = _categories(table, "detector")
    sets, set_names = _categories(table, "dataset")
    splits, split_names = _categories(table, "split")
    classifier_seeds = _integers(table, "classifier_seed")
    drawn = table["seed"].is_valid().to_numpy()
    seeds = table["seed"].fill_null(0).cast(pyarrow.int64()).to_numpy()
    index = _integers(table, "index")
    score = table["score"].to_numpy()
    if score.dtype.kind != "f" or table["score"].null_count:
        raise ValueError("column score: expected a floating-point number in every row")
    pieces: dict[Fitted, dict[str, list[slice]]] = {}
    for piece in _pieces(detectors, classifier_seeds, drawn, seeds, sets, splits):
        first = piece.start
        if split_names[splits[first]] == "test":
            fitted = (
                detector_names[detectors[first]],
                int(classifier_seeds[first]),
                int(seeds[first]) if drawn[first] else None,
            )
            own = pieces.setdefault(fitted, {})
            own.setdefault(set_names[sets[first]], []).append(piece)
    for fitted, own in pieces.items():
        yield fitted, {title: _joined(index, score, parts) for title, parts in own.items()}


def _pieces(*columns: npt.NDArray[np.generic]) -> Iterator[slice]:
    """Yield the longest pieces in which no column changes."""
    count = len(columns[0])
    if count:
        changed = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
        bounds = [0, *(np.flatnonzero(changed) + 1).tolist(), count]
        yield from (slice(start, stop) for start, stop in itertools.pairwise(bounds))


def _joined(
    index: npt.NDArray[np.int64], score: npt.NDArray[np.floating], pieces: list[slice]
) -> Scored:
    own, values = (np.concatenate([column[piece] for piece in pieces]) for column in (index, score))
    order = np.argsort(own, kind="stable")
    return Scored(own[order], values[order])


def _categories(table: pyarrow.Table, name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the codes of a column of names, and the names that they stand for."""
    column = table[name]
    if not pyarrow.types.is_dictionary(column.type):
        column = column.cast(pyarrow.string()).dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    if column.null_count:
        raise ValueError(f"column {name}: a name is missing")
    return column.indices.to_numpy(), [str(each) for each in column.dictionary.to_pylist()]


def _integers(table: pyarrow.Table, name: str) -> npt.NDArray[np.int64]:
    column = table[name]
    if column.null_count:
        raise ValueError(f"column {name}: a number is missing")
    values: npt.NDArray[np.int64] = column.cast(pyarrow.int64()).to_numpy()
    return values
