"""The runs of a detector, summarised: mean and standard deviation of every measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from oodbench.measures.intervals import over_seeds
from oodbench.measures.paired import independent_runs

GROUP = ["id_dataset", "ood_dataset", "detector", "classifier"]
"""The columns that name a line of a summary."""

RUN = ["classifier_seed", "seed"]
"""The columns that tell the runs of one line apart."""


def summarise(records: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return one line for each ID set, OOD set, detector and classifier.

    Lines keep the order in which the names first appear in the records; the row of the ID set
    itself comes before its OOD sets.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        metrics: columns of measures.

    Returns:
        `GROUP`, ``n_seeds`` (runs that succeeded, over all pairs of classifier seed and seed),
        ``ties`` (the largest share), and for each measure its mean and sample standard deviation,
        as in ``auroc_mean`` and ``auroc_std``; next to the AUROC also ``auroc_low`` and
        ``auroc_high``, its 95 % interval: DeLong's where there is one run, else Student's interval
        of the mean, over classifiers where there are several. Fractions; NaN where there is nothing
        to tell.
    """
    lines = [
        {**dict(zip(GROUP, names, strict=True)), **_summarise_line(rows, metrics)}
        for names, rows in records.groupby(GROUP, sort=False)
    ]
    ranks = {
        name: {value: rank for rank, value in enumerate(records[name].unique(), start=1)}
        for name in GROUP
    }
    ranks["ood_dataset"][""] = 0
    order = ["id_dataset", "classifier", "ood_dataset", "detector"]
    lines.sort(key=lambda line: [ranks[name][line[name]] for name in order])
    return pd.DataFrame(lines)


def has_single_runs(records: pd.DataFrame) -> bool:
    """Return whether some line of the summary is of one run, and so has DeLong's interval."""
    succeeded = records[(records["status"] == "ok") & (records["ood_dataset"] != "")]
    return bool((succeeded.groupby(GROUP).size() == 1).any())


def has_accepted(records: pd.DataFrame) -> bool:
    """Return whether there are shares of accepted ID images, as calibration scores give them."""
    succeeded = records[(records["status"] == "ok") & (records["ood_dataset"] == "")]
    return bool(succeeded.empty or succeeded["acc95"].notna().any())


def means_over_sets(
    records: pd.DataFrame, metrics: Sequence[str], sets: Sequence[str]
) -> pd.DataFrame:
    """Return one record a run: the means of measures over OOD sets, without intervals.

    A run that lacks a set, or failed on it, has none: means over different sets do not compare.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one ID set and classifier.
        metrics: the measures.
        sets: the OOD sets, each once.
    """
    ood = records[records["ood_dataset"].isin(sets)]
    means = []
    for _, rows in ood.groupby(["detector", *RUN], sort=False, dropna=False):
        if (rows["status"] == "ok").sum() == len(sets):
            values = {metric: rows[metric].mean() for metric in metrics}
            unknown = dict.fromkeys(("auroc_low", "auroc_high"), math.nan)
            means.append(rows.iloc[[0]].assign(ties=rows["ties"].max(), **unknown, **values))
    return pd.concat(means) if means else ood.iloc[:0]


def _independent(rows: pd.DataFrame) -> list[float]:
    """Return the AUROCs of runs, or their means on each of several classifiers."""
    seeds = [
        (int(one), None if pd.isna(other) else int(other))
        for one, other in zip(rows["classifier_seed"], rows["seed"], strict=True)
    ]
    return list(independent_runs(dict(zip(seeds, rows["auroc"], strict=True))).values())


def _summarise_line(rows: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Any]:
    succeeded = rows[rows["status"] == "ok"]
    line: dict[str, Any] = {"n_seeds": len(succeeded), "ties": succeeded["ties"].max()}
    for metric in metrics:
        runs = over_seeds(succeeded[metric].dropna().tolist())
        line[f"{metric}_mean"], line[f"{metric}_std"] = runs.mean, runs.std
        if metric == "auroc":
            varying = over_seeds(_independent(succeeded.dropna(subset=[metric])))
            line["auroc_low"], line["auroc_high"] = varying.low, varying.high
            if len(succeeded) == 1:
                line["auroc_low"], line["auroc_high"] = succeeded.iloc[0][
                    ["auroc_low", "auroc_high"]
                ]
    return line
