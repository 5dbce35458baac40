"""Build the report of some records: for each ID set a comparison and the details."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pandas as pd

from oodbench.report.columns import COLUMNS
from oodbench.report.footnotes import (
    DAGGER,
    TIES_WORTH_A_MARK,
    Marks,
    failures,
    general_footnotes,
    number_footnotes,
)
from oodbench.report.layout import MISSING, Cell, Report, Section, Table, clean, percent
from oodbench.report.summary import has_single_runs, means_over_sets, summarise

Line: TypeAlias = dict[str, Any]
"""A line of a summary, by the names of its columns."""

Lines: TypeAlias = dict[tuple[str, str], Line]
"""The lines by OOD set, empty for the ID set itself, and detector."""


def build(
    records: pd.DataFrame,
    metrics: Sequence[str],
    notes: Mapping[str, str],
    deviations: Mapping[str, str],
) -> Report:
    """Return the report of records.

    Args:
        records: columns as in `oodbench.results.RECORD`.
        metrics: names of measures from `COLUMNS`, at least one; the first is compared.
        notes: a sentence about a data set, by its name.
        deviations: how a detector deviates from its paper, by its name.
    """
    marks = number_footnotes(records, notes, deviations)
    sections = tuple(
        Section(_heading(own), (_comparison(own, metrics[0], marks), _details(own, metrics, marks)))
        for _, own in records.groupby(["id_dataset", "classifier"], sort=False)
    )
    footnotes = (*marks.footnotes, *general_footnotes(records, metrics))
    return Report(sections, footnotes, failures(records))


def _heading(records: pd.DataFrame) -> str:
    """Return the names of the ID set and the classifier, and the latter's accuracy."""
    id_dataset, classifier = records.iloc[0][["id_dataset", "classifier"]]
    heading = clean(f"{id_dataset}, classifier {classifier}")
    # Every detector repeats the accuracy of the classifier that it ran on.
    trained = records.dropna(subset="id_accuracy").drop_duplicates("classifier_seed")
    if trained.empty:
        return heading
    apart = trained.assign(ood_dataset="", detector="", status="ok")
    line = {str(name): value for name, value in summarise(apart, ["id_accuracy"]).iloc[0].items()}
    cell = _figure(line, "id_accuracy")
    return f"{heading} (accuracy {' '.join(filter(None, (cell.text, cell.spread)))} %)"


def _comparison(records: pd.DataFrame, metric: str, marks: Marks) -> Table:
    """Return a row a data set and a column a detector, like Table 11 of the GANAD paper."""
    id_dataset, ood_datasets, detectors = _names(records)
    lines = _lines(summarise(records, [metric, "acc95"]))
    means = _lines(summarise(means_over_sets(records, metric).assign(ood_dataset="mean"), [metric]))

    def row(label: Cell, found: Lines, dataset: str, measure: str) -> tuple[Cell, ...]:
        own = [found.get((dataset, name)) for name in detectors]
        cells = _with_best([_figure(line, measure) for line in own], measure)
        return (
            label,
            *(_with_marks(cell, _dagger(line)) for cell, line in zip(cells, own, strict=True)),
        )

    accuracy = Cell(clean(f"{id_dataset} accuracy"), marks=marks.datasets.get(id_dataset, ()))
    rows = tuple(row(_label(name, marks.datasets), lines, name, metric) for name in ood_datasets)
    mean = (row(Cell("mean"), means, "mean", metric),) if len(rows) > 1 else ()
    return Table(
        f"{COLUMNS[metric].title} in % on each OOD set; {accuracy.text}: Accuracy (0.95)",
        (Cell("Test set"), *(_label(name, marks.detectors) for name in detectors)),
        tuple(block for block in ((row(accuracy, lines, "", "acc95"),), rows, mean) if block),
    )


def _details(records: pd.DataFrame, metrics: Sequence[str], marks: Marks) -> Table:
    """Return a row a data set and detector, like Tables 3 to 10 of the GANAD paper."""
    id_dataset, ood_datasets, detectors = _names(records)
    lines = _lines(summarise(records, metrics))
    titles = [COLUMNS[metric].title for metric in metrics]
    with_interval = "auroc" in metrics and has_single_runs(records)
    if with_interval:
        titles.insert(metrics.index("auroc") + 1, "95 % interval")

    def block(dataset: str) -> tuple[tuple[Cell, ...], ...]:
        own = [lines.get((dataset, name)) for name in detectors]
        columns = [_with_best([_figure(line, name) for line in own], name) for name in metrics]
        if with_interval:
            columns.insert(metrics.index("auroc") + 1, [_interval(line) for line in own])
        # The data set is named once, in the first row of its block.
        label = _label(dataset or id_dataset, marks.datasets)
        labels = [label, *[Cell("")] * (len(own) - 1)]
        names = [
            Cell(clean(name), marks=_dagger(line))
            for name, line in zip(detectors, own, strict=True)
        ]
        return tuple(zip(labels, names, *columns, strict=True))

    header = tuple(Cell(title) for title in ("Test set", "Detector", *titles))
    return Table("Details in %", header, tuple(map(block, ["", *ood_datasets])), labels=2)


def _names(records: pd.DataFrame) -> tuple[str, list[str], list[str]]:
    """Return the ID set, the OOD sets and the detectors, in order of appearance."""
    ood_datasets = records.loc[records["ood_dataset"] != "", "ood_dataset"].unique()
    return records["id_dataset"].iloc[0], list(ood_datasets), list(records["detector"].unique())


def _lines(summary: pd.DataFrame) -> Lines:
    lines = ({str(name): line[name] for name in line} for line in summary.to_dict("records"))
    return {(line["ood_dataset"], line["detector"]): line for line in lines}


def _label(name: str, marks: Mapping[str, tuple[str, ...]]) -> Cell:
    return Cell(clean(name), marks=marks.get(name, ()))


def _figure(line: Line | None, metric: str) -> Cell:
    """Return mean and deviation of a measure; `MISSING` where no run of the detector has it."""
    if line is None or math.isnan(line[f"{metric}_mean"]):
        return Cell(MISSING)
    mean, std = line[f"{metric}_mean"], line[f"{metric}_std"]
    return Cell(percent(mean), spread="" if math.isnan(std) else f"({percent(std)})")


def _interval(line: Line | None) -> Cell:
    if line is None or line["n_seeds"] != 1 or math.isnan(line["auroc_low"]):
        return Cell("")
    return Cell(f"{percent(line['auroc_low'])}–{percent(line['auroc_high'])}")


def _dagger(line: Line | None) -> tuple[str, ...]:
    return (DAGGER,) if line is not None and line["ties"] > TIES_WORTH_A_MARK else ()


def _with_marks(cell: Cell, marks: tuple[str, ...]) -> Cell:
    return cell if cell.text == MISSING else replace(cell, marks=marks)


def _with_best(cells: Sequence[Cell], metric: str) -> list[Cell]:
    """Mark the best of two or more figures; those that look equal are equally good."""
    figures = [float(cell.text) for cell in cells if cell.text != MISSING]
    if len(figures) < 2:
        return list(cells)
    best = max(figures) if COLUMNS[metric].larger_is_better else min(figures)
    return [replace(cell, best=cell.text == f"{best:.2f}") for cell in cells]
