"""AUPR as it depends on the ratio of ID to OOD images, and balanced."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from oodbench.report.build import build
from oodbench.report.derived import add_derived, scored_runs
from oodbench.report.layout import Table

_SHOWN = ("aupr_id", "aupr_id_balanced", "aupr_ood", "aupr_ood_balanced")


def prevalence_table(records: pd.DataFrame, scores: pd.DataFrame) -> Table:
    """Return AUPR and its balanced variants of every detector on every set.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one ID set and classifier.
        scores: columns as in `oodbench.results.columns.SCORE`, of the same run.
    """
    report = build(add_derived(records, scored_runs(records, scores), _SHOWN), _SHOWN, {}, {})
    details = report.sections[0].tables[1]
    # The first block is that of the ID set, which has no AUPR.
    return replace(details, caption="AUPR in % as it is and as 1:1", blocks=details.blocks[1:])
