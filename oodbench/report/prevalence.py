"""AUPR as it depends on the ratio of ID to OOD images, and balanced."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced
from oodbench.report.build import build
from oodbench.report.derived import beside, scored_runs
from oodbench.report.layout import Table

BALANCED = {"aupr_id_balanced": aupr_id_balanced, "aupr_ood_balanced": aupr_ood_balanced}
"""Measures that records do not hold; they are computed from scores when they are asked for."""

_SHOWN = ("aupr_id", "aupr_id_balanced", "aupr_ood", "aupr_ood_balanced")


def add_balanced(records: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return records with the columns of `BALANCED`; NaN where there are no scores.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        scores: columns as in `oodbench.results.columns.SCORE`, of the same run.
    """
    found = {
        run.key(title): {name: measure(run.known, values) for name, measure in BALANCED.items()}
        for run in scored_runs(records, scores)
        for title, values in run.unknown.items()
    }
    missing = dict.fromkeys(BALANCED, float("nan"))
    return beside(records.assign(**missing), found)


def prevalence_table(records: pd.DataFrame, scores: pd.DataFrame) -> Table:
    """Return AUPR and its balanced variants of every detector on every set.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one ID set and classifier.
        scores: columns as in `oodbench.results.columns.SCORE`, of the same run.
    """
    report = build(add_balanced(records, scores), _SHOWN, {}, {})
    details = report.sections[0].tables[1]
    # The first block is that of the ID set, which has no AUPR.
    return replace(details, caption="AUPR in % as it is and as 1:1", blocks=details.blocks[1:])
