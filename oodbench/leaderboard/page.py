"""Write boards as one HTML page that needs no server and asks no outside address for anything."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from oodbench.leaderboard import texts
from oodbench.leaderboard.boards import Board, Figure, Standing, describe_parameters
from oodbench.leaderboard.entries import Skipped
from oodbench.leaderboard.published import Published
from oodbench.report.layout import MISSING, clean

RUN_FILES = ("run.json", "records.csv", "scores.parquet", "predictions.parquet", "table.md")
"""The files of a run that an entry links to, where they are."""


@dataclass(frozen=True)
class _Cell:
    """A cell of the standings: what it shows, and what it is sorted by.

    Attributes:
        text: a name or figure.
        order: a number as text; the smallest of all where there is no figure.
        spread: what follows in brackets.
        anchor: of the entry that a detector's name leads to.
    """

    text: str
    order: str = ""
    spread: str = ""
    anchor: str = ""


def write_page(
    boards: Sequence[Board],
    published: Sequence[Published],
    skipped: Sequence[Skipped],
    folder: Path,
) -> str:
    """Return the leaderboard as HTML; every name and text is escaped.

    Args:
        boards: in order.
        published: figures of other sources, shown apart beneath the boards that they belong to.
        skipped: what was left out, and why.
        folder: where the page will lie, so that links to the files of runs can be relative.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    runs = {path for board in boards for each in board.standings for path in each.entry.runs}
    return (
        environment.from_string(_asset("page.html")).render(
            boards=[
                _view(board, f"board-{number}", published, folder)
                for number, board in enumerate(boards, start=1)
            ],
            count_runs=len(runs),
            definitions=texts.DEFINITIONS,
            citations=[clean(text) for text in texts.citations(boards, published)],
            published_caption=texts.PUBLISHED,
            skipped=[clean(f"{_relative(each.path, folder)}: {each.reason}") for each in skipped],
            style=_asset("page.css"),
            library=_asset("dataTables.min.js"),
            script=_asset("page.js"),
        )
        + "\n"
    )


@cache
def _asset(name: str) -> str:
    return (files("oodbench.leaderboard") / "assets" / name).read_text(encoding="utf-8")


def _view(
    board: Board, anchor: str, published: Sequence[Published], folder: Path
) -> dict[str, Any]:
    """Return what the template shows of a board."""
    columns = [("Rank", "num"), ("Detector", "string"), ("AUROC", "num"), ("95 % interval", "num")]
    columns += [(clean(name), "num") for name in (*board.groups, *board.sets)]
    costs = ("FPR95", "ID accepted", "Mean rank", "Runs", "Fit (s)", "Images/s")
    columns += [(name, "num") for name in costs]
    names = texts.labels(board)
    own = [line for line in published if line.belongs_to(board)]
    return {
        "anchor": anchor,
        "heading": texts.heading(board),
        "sets": [clean(title) for title in board.sets],
        "columns": [{"title": title, "type": kind} for title, kind in columns],
        "rows": [
            _row(board, standing, name, f"{anchor}-entry-{number}", folder)
            for number, (name, standing) in enumerate(
                zip(names, board.standings, strict=True), start=1
            )
        ],
        "test": texts.describe_test(board),
        "published": [
            {
                "detector": clean(line.detector),
                "place": clean(line.place),
                "measure": clean(line.measure),
                "figures": [line.text(title) for title in board.sets],
            }
            for line in own
        ],
    }


def _row(board: Board, standing: Standing, name: str, anchor: str, folder: Path) -> dict[str, Any]:
    entry = standing.entry
    citation, url = entry.paper
    errors = entry.records.loc[entry.records["status"] == "failed", "error"].unique()
    return {
        "anchor": anchor,
        "name": name,
        "cells": _cells(board, standing, name, anchor),
        "parameters": describe_parameters(entry.parameters),
        "plugin": clean(entry.plugin),
        "paper": clean(citation),
        "url": url if urlsplit(url).scheme in ("http", "https") else "",
        "deviations": clean(entry.deviations),
        "errors": clean("; ".join(errors)),
        "runs": [
            {
                "name": clean(_relative(path, folder)),
                "files": [
                    {"name": file, "address": quote(f"{_relative(path, folder)}/{file}")}
                    for file in RUN_FILES
                    if (path / file).exists()
                ],
            }
            for path in entry.runs
        ],
    }


def _cells(board: Board, standing: Standing, name: str, anchor: str) -> list[_Cell]:
    rank = math.inf if standing.rank is None else standing.rank
    return [
        _Cell(MISSING if standing.rank is None else str(standing.rank), _order(rank)),
        _Cell(name, anchor=anchor),
        _figure(standing.auroc),
        _Cell(texts.interval(standing.auroc), _order(standing.auroc.low)),
        *(_figure(standing.groups[group]) for group in board.groups),
        *(_figure(standing.sets[title]) for title in board.sets),
        _figure(standing.fpr95),
        _figure(standing.accepted),
        _Cell(
            MISSING if math.isnan(standing.mean_rank) else f"{standing.mean_rank:.2f}",
            _order(standing.mean_rank),
        ),
        _Cell(str(standing.runs), _order(standing.runs)),
        _Cell(texts.seconds(standing.fit_seconds), _order(standing.fit_seconds)),
        _Cell(texts.rate(standing.images_per_second), _order(standing.images_per_second)),
    ]


def _figure(figure: Figure) -> _Cell:
    cell = texts.cell(figure)
    return _Cell(cell.text, _order(figure.mean), cell.spread)


def _order(value: float) -> str:
    """Return a number to sort by; what is missing comes last in ascending order of ranks."""
    return "-1" if math.isnan(value) else "1e9" if math.isinf(value) else repr(float(value))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
