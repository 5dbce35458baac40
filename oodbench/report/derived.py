"""Measures that records do not hold, computed from scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from oodbench.measures.arrays import DETECTOR_RUN, Flags
from oodbench.measures.evaluation import id_correctness
from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced
from oodbench.measures.use import augrc, aurc_at_share
from oodbench.report.columns import SHARES

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
        correct: (n,) whether the classifier is right about each ID test image; None where that is
            not known.
    """

    run: Key
    id_dataset: str
    known: Scores
    unknown: Mapping[str, Scores]
    correct: Flags | None

    def key(self, ood_dataset: str) -> Key:
        """Return the key of a record."""
        return key_of((*self.run, self.id_dataset, ood_dataset))


def scored_runs(
    records: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame | None = None
) -> Iterator[Scored]:
    """Yield the scores of each run of each detector that did not fail on the ID set.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one run.
        scores: columns as in `oodbench.results.columns.SCORE`, of one run.
        predictions: columns as in `oodbench.results.columns.PREDICTION`, of the same run; it may
            have none.

    Raises:
        InvalidData: if an ID test image lacks its prediction.
    """
    id_dataset = str(records["id_dataset"].iloc[0])
    runs: Any = scores.groupby(DETECTOR_RUN, sort=False, observed=True, dropna=False)
    for run, own in runs:
        tests = own[own["split"] == "test"].groupby("dataset", sort=False, observed=True)
        parts = {str(title): part for title, part in tests}
        if id_dataset in parts:
            known = parts.pop(id_dataset)
            correct = None
            if predictions is not None and not predictions.empty:
                names = dict(zip(DETECTOR_RUN, run, strict=True))
                images = known["index"].to_numpy()
                correct = id_correctness(names, id_dataset, images, predictions)
            unknown = {title: part["score"].to_numpy() for title, part in parts.items()}
            yield Scored(run, id_dataset, known["score"].to_numpy(), unknown, correct)


Measure: TypeAlias = Callable[[Scores, Scores, Flags | None], float]
"""A measure of ID scores, OOD scores and correctness."""


def _at_share(measure: Callable[..., float], share: float) -> Measure:
    def measured(known: Scores, unknown: Scores, correct: Flags | None) -> float:
        return math.nan if correct is None else measure(known, unknown, correct, share=share)

    return measured


DERIVED: Mapping[str, Measure] = {
    "aupr_id_balanced": lambda known, unknown, _: aupr_id_balanced(known, unknown),
    "aupr_ood_balanced": lambda known, unknown, _: aupr_ood_balanced(known, unknown),
    **{f"augrc{percent}": _at_share(augrc, percent / 100) for percent in SHARES},
    **{f"aurc{percent}": _at_share(aurc_at_share, percent / 100) for percent in SHARES},
}
"""Measures that records do not hold; they are computed from scores when they are asked for."""


def add_derived(
    records: pd.DataFrame, runs: Iterable[Scored], names: Iterable[str]
) -> pd.DataFrame:
    """Return records with the columns of some measures; NaN where there are no scores.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        runs: what `scored_runs` yields of the same run.
        names: of measures, of which those in `DERIVED` are added.
    """
    asked = [name for name in names if name in DERIVED]
    found = {
        run.key(title): {name: DERIVED[name](run.known, values, run.correct) for name in asked}
        for run in runs
        for title, values in run.unknown.items()
    }
    return beside(records.assign(**dict.fromkeys(asked, math.nan)), found)


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
