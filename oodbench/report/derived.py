"""Measures that records do not hold, computed from scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from oodbench.measures.arrays import DETECTOR_RUN

Key: TypeAlias = tuple[Any, ...]
"""Detector, classifier, seeds (None where there is none), ID set and OOD set."""

Scores: TypeAlias = npt.NDArray[np.floating[Any]]


class Scored(NamedTuple):
    """What one run of a detector scored.

    Attributes:
        run: values of `DETECTOR_RUN`.
        id_dataset: title of the ID set.
        known: (n,) scores of the ID test images.
        unknown: (m,) scores of the images of each OOD set, by its title.
    """

    run: Key
    id_dataset: str
    known: Scores
    unknown: Mapping[str, Scores]

    def key(self, ood_dataset: str) -> Key:
        """Return the key of a record."""
        return key_of((*self.run, self.id_dataset, ood_dataset))


def scored_runs(records: pd.DataFrame, scores: pd.DataFrame) -> Iterator[Scored]:
    """Yield the scores of each run of each detector that did not fail on the ID set.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one run.
        scores: columns as in `oodbench.results.columns.SCORE`, of one run.
    """
    id_dataset = str(records["id_dataset"].iloc[0])
    runs: Any = scores.groupby(DETECTOR_RUN, sort=False, observed=True, dropna=False)
    for run, own in runs:
        tests = own[own["split"] == "test"].groupby("dataset", sort=False, observed=True)
        parts = {str(title): part["score"].to_numpy() for title, part in tests}
        if id_dataset in parts:
            yield Scored(run, id_dataset, parts.pop(id_dataset), parts)


def beside(records: pd.DataFrame, found: Mapping[Key, Mapping[str, float]]) -> pd.DataFrame:
    """Return records with what was found of each in columns of its own, or in those it had.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        found: figures by the keys of records and by column; NaN where there are none.
    """
    names = [*DETECTOR_RUN, "id_dataset", "ood_dataset"]
    keys = [key_of(row) for row in records[names].itertuples(index=False)]
    columns = dict.fromkeys(name for figures in found.values() for name in figures)
    values = {
        name: [found.get(key, {}).get(name, float("nan")) for key in keys] for name in columns
    }
    return records.assign(**values)


def key_of(values: Iterable[Any]) -> Key:
    """Return values as they can be compared: a missing seed equals another."""
    return tuple(None if pd.isna(value) else value for value in values)
