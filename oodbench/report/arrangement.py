"""Tables arranged like those of a publication: its rows, and its columns first."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from oodbench.errors import UnknownName, UserError
from oodbench.report.layout import MISSING, Cell, Footnote, Report, Table

if TYPE_CHECKING:
    import pandas as pd

_FOLDER = "layouts"


@dataclass(frozen=True)
class Arrangement:
    """The rows and columns of a published table.

    Attributes:
        rows: titles of the OOD sets that it has, in its order.
        columns: names of detectors in its order; others follow.
        id_dataset: title of its ID set.
        id_row: what it calls the row of accepted ID images, after the name of the ID set.
        printed: what it prints, in percent, by row and column.
        printed_note: what that is.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    id_dataset: str
    id_row: str
    printed: Mapping[str, Mapping[str, float]]
    printed_note: str


def arrangement(name: str) -> Arrangement:
    """Return the arrangement of a published table.

    Raises:
        UnknownName: if it is not known.
    """
    known = {
        path.name.removesuffix(".toml"): path
        for path in (files("oodbench.report") / _FOLDER).iterdir()
        if path.name.endswith(".toml")
    }
    if name not in known:
        raise UnknownName("table", name, known)
    content = tomllib.loads(known[name].read_text(encoding="utf-8"))
    rows, columns = tuple(content.pop("rows")), tuple(content.pop("columns"))
    return Arrangement(rows, columns, **content)


def arrange(records: pd.DataFrame, like: Arrangement) -> pd.DataFrame:
    """Return the records of a table's rows, in its order of rows and columns.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        like: the table.

    Raises:
        UserError: if the records have none of its rows.
    """
    chosen = records[records["ood_dataset"].isin(["", *like.rows])]
    if not chosen["ood_dataset"].isin(like.rows).any():
        raise UserError(f"the run has no row of that table: {', '.join(like.rows)}")
    detectors = list(dict.fromkeys([*like.columns, *records["detector"]]))
    keys = {
        "ood_dataset": {title: place for place, title in enumerate(("", *like.rows))},
        "detector": {name: place for place, name in enumerate(detectors)},
    }
    return chosen.sort_values(
        ["detector", "ood_dataset"],
        key=lambda column: column.map(keys[str(column.name)]),
        kind="stable",
    )


def comparisons_alone(report: Report) -> Report:
    """Return a report with the comparison of each section alone, without its mean."""
    return _changed(report, lambda table: replace(table, blocks=table.blocks[:2]))


def with_printed(report: Report, like: Arrangement) -> Report:
    """Return a report with a block, in each first table, of what the published table prints."""

    def extended(table: Table) -> Table:
        names = [cell.text for cell in table.header[table.labels :]]
        block = tuple(
            (
                Cell(f"{title}, printed"),
                *(Cell(str(row[name]) if name in row else MISSING) for name in names),
            )
            for title, row in like.printed.items()
        )
        return replace(table, blocks=(*table.blocks, block))

    changed = _changed(report, extended)
    return replace(changed, footnotes=(*report.footnotes, Footnote(like.printed_note)))


def _changed(report: Report, change: Callable[[Table], Table]) -> Report:
    """Return a report of the changed first table of each section."""
    sections = [replace(each, tables=(change(each.tables[0]),)) for each in report.sections]
    return replace(report, sections=tuple(sections))
