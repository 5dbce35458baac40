"""The tables of a benchmark with folds: each fold, their mean, and what that varies with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from oodbench.measures.intervals import over_seeds
from oodbench.report.acceptance import Accepted, marks_of
from oodbench.report.cells import figure, label, ties_marks, with_best, with_marks
from oodbench.report.columns import COLUMNS
from oodbench.report.footnotes import Marks
from oodbench.report.layout import MISSING, Cell, Footnote, Section, Table, name_section, percent
from oodbench.report.summary import RUN, means_over_sets

ID_ACCEPTED = "ID accepted (0.95)"
"""What tables call the share of ID test images that a detector accepts."""

NOTE = Footnote(
    "Mean: over the folds. Spread over folds: sample standard deviation of the folds, each the "
    "mean over its runs. Spread over seeds: sample standard deviation of runs, each the mean over "
    "all folds."
)
"""The footnote of tables with folds."""


@dataclass(frozen=True)
class OverFolds:
    """A measure of a detector over all folds; NaN where one of them lacks it.

    Attributes:
        mean: over folds.
        over_folds: sample standard deviation of the folds, each the mean over its runs.
        over_seeds: sample standard deviation of the runs, each the mean over its folds.
    """

    mean: float = math.nan
    over_folds: float = math.nan
    over_seeds: float = math.nan


def summarise_folds(rows: pd.DataFrame, metric: str, folds: int) -> OverFolds:
    """Return a measure of one detector over folds.

    Args:
        rows: one record for each run of each fold; ``id_dataset`` tells folds apart.
        metric: name of the measure.
        folds: how many there are.
    """
    known = rows.dropna(subset=[metric])
    by_fold = known.groupby("id_dataset")[metric].mean()
    if len(by_fold) < folds:
        return OverFolds()
    by_run = known.groupby(RUN, dropna=False)[metric].agg(["mean", "count"])
    whole = by_run.loc[by_run["count"] == folds, "mean"]
    return OverFolds(float(by_fold.mean()), float(by_fold.std()), float(whole.std()))


def fold_means(records: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return one record for each run of each fold: the means of measures over its OOD sets."""
    return pd.concat(
        [
            means_over_sets(own, metrics, [title for title in own["ood_dataset"].unique() if title])
            for _, own in records.groupby("id_dataset", sort=False)
        ]
    )


def folded_section(
    benchmark: str, records: pd.DataFrame, metrics: Sequence[str], marks: Marks
) -> Section:
    """Return the tables of a benchmark with folds, on one classifier.

    Args:
        benchmark: its name.
        records: columns as in `oodbench.results.columns.RECORD`, of all folds.
        metrics: names of measures, the compared one first.
        marks: of the footnotes.
    """
    heading = name_section(benchmark, str(records["classifier"].iloc[0]))
    trained = records.dropna(subset="id_accuracy")
    if not trained.empty:
        once = trained.drop_duplicates(["id_dataset", "classifier_seed"])
        heading += f" (accuracy {percent(once['id_accuracy'].mean())} %)"
    means = fold_means(records, metrics)
    accepted = accepted_over_folds(records)
    tables = (
        _comparison(records, means, accepted, metrics[0], marks),
        _averages(records, means, accepted, metrics),
    )
    return Section(heading, tables)


def accepted_over_folds(records: pd.DataFrame) -> Accepted:
    """Return the mean shares of ID test images that detectors accept."""
    rows = records[(records["ood_dataset"] == "") & (records["status"] == "ok")]
    folds = records["id_dataset"].nunique()
    return {
        (str(name), "acc95"): summarise_folds(own, "acc95", folds).mean
        for name, own in rows.groupby("detector", sort=False)
    }


def _comparison(
    records: pd.DataFrame, means: pd.DataFrame, accepted: Accepted, metric: str, marks: Marks
) -> Table:
    """Return a row a fold and a column a detector, and the mean over folds with its spreads."""
    folds, detectors = records["id_dataset"].unique(), records["detector"].unique()
    rows = []
    for title in folds:
        own = means[means["id_dataset"] == title]
        cells = [_fold_cell(own[own["detector"] == name], metric) for name in detectors]
        rows.append((_fold_label(records, title, marks), *with_best(cells, metric)))
    found = [
        summarise_folds(means[means["detector"] == name], metric, len(folds)) for name in detectors
    ]
    averages = [
        (Cell("mean"), *with_best([figure(each.mean) for each in found], metric)),
        (Cell("spread over folds"), *(figure(each.over_folds) for each in found)),
    ]
    if not all(math.isnan(each.over_seeds) for each in found):
        averages.append((Cell("spread over seeds"), *(figure(each.over_seeds) for each in found)))
    kept = [_accepted(accepted, str(name)) for name in detectors]
    several = (records.groupby("id_dataset")["ood_dataset"].nunique() > 2).any()
    caption = f"{COLUMNS[metric].title} in % of each fold"
    return Table(
        f"{caption}{', the mean over its OOD sets' if several else ''}; {ID_ACCEPTED}: mean over "
        "folds, the target is 95",
        (Cell("Fold"), *(label(str(name), marks.detectors) for name in detectors)),
        (((Cell(ID_ACCEPTED), *kept),), tuple(rows), tuple(averages)),
    )


def _averages(
    records: pd.DataFrame, means: pd.DataFrame, accepted: Accepted, metrics: Sequence[str]
) -> Table:
    """Return a row a detector and a column a measure, means over folds."""
    folds, detectors = records["id_dataset"].nunique(), records["detector"].unique()
    columns = []
    for metric in metrics:
        found = [
            summarise_folds(means[means["detector"] == name], metric, folds) for name in detectors
        ]
        cells = [figure(each.mean, each.over_folds) for each in found]
        columns.append(with_best(cells, metric))
    columns.append([_accepted(accepted, str(name)) for name in detectors])
    titles = [*(COLUMNS[metric].title for metric in metrics), ID_ACCEPTED]
    names = [Cell(str(name)) for name in detectors]
    return Table(
        "Means over the folds in % (spread over folds)",
        tuple(map(Cell, ("Detector", *titles))),
        (tuple(zip(names, *columns, strict=True)),),
    )


def _fold_cell(rows: pd.DataFrame, metric: str) -> Cell:
    """Return the mean and deviation over the runs of a detector in one fold."""
    runs = over_seeds(rows[metric].dropna().tolist())
    cell = figure(runs.mean, runs.std)
    return cell if cell.text == MISSING else with_marks(cell, ties_marks(rows["ties"].max()))


def _accepted(accepted: Accepted, detector: str) -> Cell:
    share = accepted.get((detector, "acc95"), math.nan)
    return with_marks(figure(share), marks_of("acc95", share))


def _fold_label(records: pd.DataFrame, title: str, marks: Marks) -> Cell:
    """Return the title of a fold's ID set, with the marks of that and of its OOD sets."""
    sets = records.loc[records["id_dataset"] == title, "ood_dataset"].unique()
    own = dict.fromkeys(mark for name in (title, *sets) for mark in marks.datasets.get(name, ()))
    return label(title, {title: tuple(own)})
