"""Tables arranged like those of a publication: its rows, and its columns first."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
        id_row: what it calls the row of accepted ID images, after the name of the ID set.
        printed: what it prints, in percent, by row and column.
        printed_note: what that is.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
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


def arranged(report: Report, like: Arrangement) -> Report:
    """Return a report with the comparison of each section alone, and what the table prints."""
    return replace(
        report,
        sections=tuple(
            replace(section, tables=(_arranged(section.tables[0], like),))
            for section in report.sections
        ),
        footnotes=(*report.footnotes, Footnote(like.printed_note)),
    )


def _arranged(table: Table, like: Arrangement) -> Table:
    """Return a comparison without its mean, and with a block of what the published table prints."""
    names = [cell.text for cell in table.header[table.labels :]]
    block = tuple(
        (
            Cell(f"{title}, printed"),
            *(Cell(f"{row[name]:.2f}" if name in row else MISSING) for name in names),
        )
        for title, row in like.printed.items()
    )
    return replace(table, blocks=(*table.blocks[:2], block))
