"""Show AUPR as it depends on the ratio of ID to OOD images, and as it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import pandas as pd

from oodbench.measures.arrays import DETECTOR_RUN
from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced
from oodbench.report.build import build
from oodbench.report.layout import Table

BALANCED = {"aupr_id_balanced": aupr_id_balanced, "aupr_ood_balanced": aupr_ood_balanced}
"""Measures that records do not hold; they are computed from scores when they are asked for."""

_SHOWN = ("aupr_id", "aupr_id_balanced", "aupr_ood", "aupr_ood_balanced")

_Key: TypeAlias = tuple[Any, ...]


def add_balanced(records: pd.DataFrame, scores: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return records with the columns of `BALANCED`; NaN where there are no scores.

    Args:
        records: columns as in `oodbench.results.RECORD`.
        scores: columns as in `oodbench.results.SCORE`, of one or several runs.
    """
    areas = {key: found for frame in scores for key, found in _areas(frame).items()}
    columns = [*DETECTOR_RUN, "id_dataset", "ood_dataset"]
    keys = [_key(row) for row in records[columns].itertuples(index=False)]
    missing = dict.fromkeys(BALANCED, float("nan"))
    found = pd.DataFrame([areas.get(key, missing) for key in keys], index=records.index)
    return pd.concat([records, found], axis=1)


def _areas(scores: pd.DataFrame) -> dict[_Key, dict[str, float]]:
    """Return the measures by detector, classifier, seeds, ID set and OOD set."""
    areas = {}
    runs: Any = scores.groupby(DETECTOR_RUN, sort=False, observed=True, dropna=False)
    for run, own in runs:
        tests = own[own["split"] == "test"].groupby("dataset", sort=False, observed=True)
        parts = {str(title): part["score"].to_numpy() for title, part in tests}
        id_datasets = own.loc[own["split"] == "calibration", "dataset"].unique()
        if len(id_datasets) != 1 or id_datasets[0] not in parts:
            continue  # it failed, and its rows have no figures
        id_dataset = str(id_datasets[0])
        for title in parts.keys() - {id_dataset}:
            areas[_key((*run, id_dataset, title))] = {
                name: measure(parts[id_dataset], parts[title]) for name, measure in BALANCED.items()
            }
    return areas


def _key(values: Iterable[Any]) -> _Key:
    """Return values as they can be compared: a missing seed equals another."""
    return tuple(None if pd.isna(value) else value for value in values)


def prevalence_table(records: pd.DataFrame, scores: pd.DataFrame) -> Table:
    """Return AUPR and its balanced variants of every detector on every set.

    Args:
        records: columns as in `oodbench.results.RECORD`, of one ID set and classifier.
        scores: columns as in `oodbench.results.SCORE`, of the same run.
    """
    report = build(add_balanced(records, [scores]), _SHOWN, {}, {})
    details = report.sections[0].tables[1]
    # The first block is that of the ID set, which has no AUPR.
    return replace(details, caption="AUPR in % as it is and as 1:1", blocks=details.blocks[1:])
