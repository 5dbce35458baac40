"""The report of some records: for each ID set a comparison and the details."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from oodbench.report.acceptance import DOUBLE_DAGGER, TARGETS, Accepted, acceptance_note, marks_of
from oodbench.report.cells import figure, label, ties_marks, with_best, with_marks
from oodbench.report.columns import COLUMNS
from oodbench.report.folds import ID_ACCEPTED, NOTE, accepted_over_folds, folded_section
from oodbench.report.footnotes import (
    Marks,
    failures,
    general_footnotes,
    number_footnotes,
)
from oodbench.report.layout import (
    MISSING,
    Cell,
    Footnote,
    Report,
    Section,
    Table,
    clean,
    name_section,
    percent,
)
from oodbench.report.summary import has_accepted, has_single_runs, means_over_sets, summarise

Line: TypeAlias = dict[str, Any]
"""A line of a summary, by the names of its columns."""

Lines: TypeAlias = dict[tuple[str, str], Line]
"""The lines by OOD set, empty for the ID set itself, and detector."""

DELONG = "DeLong's"
"""Whose the intervals are that records hold."""

Groups: TypeAlias = Mapping[str, Sequence[str]]
"""OOD sets by the name of their group, such as near and far."""


def build(
    records: pd.DataFrame,
    metrics: Sequence[str],
    notes: Mapping[str, str],
    deviations: Mapping[str, str],
    groups: Mapping[str, Groups] | None = None,
    interval: str = DELONG,
    id_row: str = "",
    folds: Mapping[str, str] | None = None,
) -> Report:
    """Return the report of records.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        metrics: names of measures from `COLUMNS`, at least one; the first is compared.
        notes: a sentence about a data set, by its name.
        deviations: how a detector deviates from its paper, by its name.
        groups: groups of OOD sets to average over, by the name of the ID set.
        interval: whose the intervals of single runs are.
        id_row: what a publication calls the row of accepted ID images, after the ID set's name.
        folds: names of benchmarks with folds, by the titles of the ID sets of their folds.
    """
    marks = number_footnotes(records, notes, deviations, folds)
    sections, explained, off_target = [], [], {}
    named = records["id_dataset"].map(lambda title: (folds or {}).get(title, title))
    for (name, _), own in records.groupby([named, "classifier"], sort=False):
        id_dataset = own["id_dataset"].iloc[0]
        if id_dataset in (folds or {}):
            sections.append(folded_section(str(name), own, metrics, marks))
            off_target[sections[-1].heading] = acceptance_note(accepted_over_folds(own))
            explained.append(NOTE)
            continue
        averaged = _present(own, (groups or {}).get(str(id_dataset), {}))
        tables = (
            _comparison(own, metrics[0], marks, averaged, id_row),
            _details(own, metrics, marks, averaged),
        )
        sections.append(Section(_heading(own), tables))
        off_target[sections[-1].heading] = acceptance_note(_accepted(own, metrics))
        explained += [_explain(averaged)] if averaged else []
    if set(records["id_dataset"]) <= set(folds or ()):
        interval = ""  # which means over folds have not
    general = general_footnotes(records, metrics, interval)
    footnotes = (
        *marks.footnotes,
        *dict.fromkeys(explained),
        *_off_target(off_target),
        *general,
    )
    return Report(tuple(sections), footnotes, failures(records))


def _present(records: pd.DataFrame, groups: Groups) -> Groups:
    """Return the groups without the OOD sets that the records lack."""
    _, ood_datasets, _ = _names(records)
    kept = {
        name: [title for title in titles if title in ood_datasets]
        for name, titles in groups.items()
    }
    return {name: titles for name, titles in kept.items() if titles}


def _explain(groups: Groups) -> Footnote:
    members = "; ".join(f"{name}: mean over {', '.join(titles)}" for name, titles in groups.items())
    return Footnote(clean(f"{members}."))


def _accepted(records: pd.DataFrame, metrics: Sequence[str]) -> Accepted:
    """Return the shares of ID test images that the tables show; the comparison has `acc95`."""
    shown = [name for name in TARGETS if name in (*metrics, "acc95")]
    lines = _lines(summarise(records[records["ood_dataset"] == ""], shown))
    return {
        (detector, name): line[f"{name}_mean"]
        for (_, detector), line in lines.items()
        for name in shown
    }


def _off_target(notes: Mapping[str, str]) -> Iterator[Footnote]:
    """Yield the sentences on ID acceptance, by heading, each of several with its heading."""
    for heading, text in notes.items():
        if text:
            yield Footnote(f"{heading}: {text}" if len(notes) > 1 else text, DOUBLE_DAGGER)


def _heading(records: pd.DataFrame) -> str:
    """Return the names of the ID set and the classifier, and the latter's accuracy."""
    id_dataset, classifier = records.iloc[0][["id_dataset", "classifier"]]
    heading = name_section(id_dataset, classifier)
    # Every detector repeats the accuracy of the classifier that it ran on.
    trained = records.dropna(subset="id_accuracy").drop_duplicates("classifier_seed")
    if trained.empty:
        return heading
    apart = trained.assign(ood_dataset="", detector="", status="ok")
    line = {str(name): value for name, value in summarise(apart, ["id_accuracy"]).iloc[0].items()}
    cell = _figure(line, "id_accuracy")
    return f"{heading} (accuracy {' '.join(filter(None, (cell.text, cell.spread)))} %)"


def _comparison(
    records: pd.DataFrame, metric: str, marks: Marks, groups: Groups, id_row: str
) -> Table:
    """Return a row a data set and a column a detector, like Table 11 of the GANAD paper."""
    id_dataset, ood_datasets, detectors = _names(records)
    lines = _lines(summarise(records, [metric, "acc95"]))
    averaged = dict(groups) | ({"mean": ood_datasets} if len(ood_datasets) > 1 else {})
    means = _means(records, [metric], averaged)

    def row(heading: Cell, found: Lines, dataset: str, measure: str) -> tuple[Cell, ...]:
        own = [found.get((dataset, name)) for name in detectors]
        cells = _figures(own, measure)
        return (
            heading,
            *(with_marks(cell, _dagger(line)) for cell, line in zip(cells, own, strict=True)),
        )

    name = f"{id_dataset} {id_row}" if id_row else ID_ACCEPTED
    accepted = Cell(clean(name), marks=marks.datasets.get(id_dataset, ()))
    meaning = "Accuracy (0.95)" if id_row else "the target is 95"
    rows = tuple(row(label(name, marks.datasets), lines, name, metric) for name in ood_datasets)
    averages = tuple(row(Cell(clean(name)), means, name, metric) for name in averaged)
    title = f"{COLUMNS[metric].title} in % on each OOD set"
    first: tuple[tuple[Cell, ...], ...] = ()
    if id_row or has_accepted(records):
        title += f"; {accepted.text}: {meaning}"
        first = (row(accepted, lines, "", "acc95"),)
    return Table(
        title,
        (Cell("Test set"), *(label(name, marks.detectors) for name in detectors)),
        tuple(block for block in (first, rows, averages) if block),
    )


def _details(records: pd.DataFrame, metrics: Sequence[str], marks: Marks, groups: Groups) -> Table:
    """Return a row a data set and detector, like Tables 3 to 10 of the GANAD paper."""
    id_dataset, ood_datasets, detectors = _names(records)
    lines = _lines(summarise(records, metrics))
    means = _means(records, metrics, groups)
    titles = [COLUMNS[metric].title for metric in metrics]
    with_interval = "auroc" in metrics and has_single_runs(records)
    if with_interval:
        titles.insert(metrics.index("auroc") + 1, "95 % interval")

    def block(heading: Cell, found: Lines, dataset: str) -> tuple[tuple[Cell, ...], ...]:
        own = [found.get((dataset, name)) for name in detectors]
        columns = [_figures(own, name) for name in metrics]
        if with_interval:
            columns.insert(metrics.index("auroc") + 1, [_interval(line) for line in own])
        # The data set is named once, in the first row of its block.
        labels = [heading, *[Cell("")] * (len(own) - 1)]
        names = [
            Cell(clean(name), marks=_dagger(line))
            for name, line in zip(detectors, own, strict=True)
        ]
        return tuple(zip(labels, names, *columns, strict=True))

    header = tuple(Cell(title) for title in ("Test set", "Detector", *titles))
    blocks = [
        block(label(name or id_dataset, marks.datasets), lines, name)
        for name in ["", *ood_datasets]
    ]
    blocks += [block(Cell(clean(name)), means, name) for name in groups]
    return Table("Details in %", header, tuple(blocks), labels=2)


def _names(records: pd.DataFrame) -> tuple[str, list[str], list[str]]:
    """Return the ID set, the OOD sets and the detectors, in order of appearance."""
    ood_datasets = records.loc[records["ood_dataset"] != "", "ood_dataset"].unique()
    return records["id_dataset"].iloc[0], list(ood_datasets), list(records["detector"].unique())


def _lines(summary: pd.DataFrame) -> Lines:
    lines = ({str(name): line[name] for name in line} for line in summary.to_dict("records"))
    return {(line["ood_dataset"], line["detector"]): line for line in lines}


def _means(records: pd.DataFrame, metrics: Sequence[str], groups: Groups) -> Lines:
    """Return the lines of the means over groups of OOD sets, by the name of the group."""
    means: Lines = {}
    for name, titles in groups.items():
        own = means_over_sets(records, metrics, titles).assign(ood_dataset=name)
        means |= _lines(summarise(own, metrics))
    return means


def _figure(line: Line | None, metric: str) -> Cell:
    """Return mean and deviation of a measure; `MISSING` where no run of the detector has it."""
    return Cell(MISSING) if line is None else figure(line[f"{metric}_mean"], line[f"{metric}_std"])


def _interval(line: Line | None) -> Cell:
    if line is None or line["n_seeds"] != 1 or math.isnan(line["auroc_low"]):
        return Cell("")
    return Cell(f"{percent(line['auroc_low'])}–{percent(line['auroc_high'])}")


def _dagger(line: Line | None) -> tuple[str, ...]:
    return () if line is None else ties_marks(line["ties"])


def _figures(lines: Sequence[Line | None], metric: str) -> list[Cell]:
    """Return the figures of detectors on one set: of an OOD set with the best, of the ID set none.

    Of the ID set, what is accepted has a target, and is marked where it is far from that.
    """
    cells = [_figure(line, metric) for line in lines]
    if any(line is not None and line["ood_dataset"] for line in lines):
        return with_best(cells, metric)
    return [
        with_marks(cell, () if line is None else marks_of(metric, line[f"{metric}_mean"]))
        for cell, line in zip(cells, lines, strict=True)
    ]
