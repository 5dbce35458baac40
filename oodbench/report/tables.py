"""The tables of one or several runs, rendered from their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oodbench.errors import UnknownName
from oodbench.report.arrangement import arrange, arrangement, comparisons_alone, with_printed
from oodbench.report.build import DELONG, Groups, build
from oodbench.report.columns import COLUMNS, checked, shown_by_default
from oodbench.report.layout import Report
from oodbench.report.markup import latex, markdown, page
from oodbench.report.summary import summarise
from oodbench.report.terminal import WIDTH, terminal

if TYPE_CHECKING:
    import pandas as pd

_WRITERS = {"markdown": markdown, "latex": latex, "html": page}

FORMATS = ("markdown", "csv", "latex", "html", "terminal")
"""The formats of `render`."""


def render(
    records: pd.DataFrame,
    *,
    format: str = "markdown",  # noqa: A002 - the word that the command line uses
    notes: Mapping[str, str] | None = None,
    deviations: Mapping[str, str] | None = None,
    groups: Mapping[str, Groups] | None = None,
    folds: Mapping[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    like: str | None = None,
    interval: str = DELONG,
    width: int = WIDTH,
) -> str:
    """Return the tables of records as text.

    For each ID set and classifier there is a comparison of the detectors, with one measure for each
    OOD set and the share of ID images that they accept, and a table of details; figures are in
    percent, as mean (sample standard deviation) where there are several runs. Names stand in the
    order of their first appearance in the records. ``csv`` is for further computation: a line for
    each ID set, OOD set (empty for the ID set itself), detector and classifier, fractions in full
    precision, see `oodbench.report.summary.summarise`.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, and for measures that those
            have not (`oodbench.report.derived.DERIVED`) as `add_derived` there returns.
        format: one of `FORMATS`; ``terminal`` contains ANSI codes for bold type.
        notes: a sentence about a data set, by its name in the records; shown as a footnote.
        deviations: how a detector deviates from its paper, by its name; shown as a footnote.
        groups: groups of OOD sets, by the name of the ID set; the mean over each is shown.
        folds: names of benchmarks with folds, by the ID sets of their folds; these stand in one
            comparison, with their mean and its spreads over folds and over seeds.
        metrics: names of measures to show, the compared one first; by default AUROC, FPR95 and
            accuracies, and in ``csv`` all that the records have.
        like: a published table, such as ``"table11"``, whose rows and order to show.
        interval: whose the intervals of single runs are, for a footnote.
        width: columns of text that ``terminal`` fills; no other format depends on it.

    Raises:
        UnknownName: if the format, a measure or the published table does not exist.
        UserError: if the records have no row of the published table.
    """
    if format not in FORMATS:
        raise UnknownName("table format", format, FORMATS)
    published = None if like is None else arrangement(like)
    if published is not None:
        records = arrange(records, published)
    if format == "csv":
        return _csv(records, checked(metrics or tuple(name for name in COLUMNS if name in records)))
    shown = checked(metrics or shown_by_default(records))
    id_row = "" if published is None else published.id_row
    report = build(records, shown, notes or {}, deviations or {}, groups, interval, id_row, folds)
    if published is not None:
        report = comparisons_alone(report)
        if shown[0] == "auroc" and set(records["id_dataset"]) == {published.id_dataset}:
            report = with_printed(report, published)
    return write(report, format, width)


def write(report: Report, format: str, width: int = WIDTH) -> str:  # noqa: A002
    """Return a report as text, in any of `FORMATS` but ``csv``; see `render`."""
    return terminal(report, width) if format == "terminal" else _WRITERS[format](report)


def table_files(records: pd.DataFrame, **texts: Any) -> dict[str, str]:
    """Return the tables that a run leaves, by the name of their file.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        texts: notes, deviations, groups and folds, as `render` takes them.
    """
    styles = {"table.md": "markdown", "table.csv": "csv"}
    return {name: render(records, format=style, **texts) for name, style in styles.items()}


def _csv(records: pd.DataFrame, metrics: Sequence[str]) -> str:
    text: str = summarise(records, metrics).to_csv(index=False, lineterminator="\n")
    return text
