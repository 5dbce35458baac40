"""Intervals of AUROCs from resampled images, in place of DeLong's formula."""

from __future__ import annotations

import pandas as pd

from oodbench.measures.bootstrap import bootstrap_auroc, percentile_interval
from oodbench.report.derived import Key, beside, scored_runs


def resampled(
    records: pd.DataFrame, scores: pd.DataFrame, samples: int, threads: int = 1
) -> pd.DataFrame:
    """Return records with the percentile intervals of a stratified bootstrap of the images.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`; ``auroc_low`` and
            ``auroc_high`` are replaced.
        scores: columns as in `oodbench.results.columns.SCORE`, of the same run.
        samples: number of samples; all detectors see the same ones.
        threads: samples are computed in as many threads.
    """
    found: dict[Key, dict[str, float]] = {}
    for run in scored_runs(records, scores):
        areas = bootstrap_auroc(
            [run.known], [list(run.unknown.values())], samples=samples, threads=threads
        )
        for title, low, high in zip(run.unknown, *percentile_interval(areas[:, 0]), strict=True):
            found[run.key(title)] = {"auroc_low": float(low), "auroc_high": float(high)}
    return beside(records, found)
