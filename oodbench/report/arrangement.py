"""Tables arranged like those of a publication: its rows, and its columns first."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from oodbench.errors import UnknownName, UserError
from oodbench.report.layout import Report

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
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    id_row: str


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
    return Arrangement(tuple(content["rows"]), tuple(content["columns"]), content["id_row"])


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
    return replace(
        report,
        sections=tuple(
            replace(
                section,
                tables=(replace(section.tables[0], blocks=section.tables[0].blocks[:2]),),
            )
            for section in report.sections
        ),
    )
