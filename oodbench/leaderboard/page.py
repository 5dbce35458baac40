"""The leaderboard as one HTML page that needs no server and loads nothing from elsewhere."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from oodbench.leaderboard import texts
from oodbench.leaderboard.boards import Board, Standing, describe_parameters
from oodbench.leaderboard.entries import Skipped
from oodbench.leaderboard.inuse import COSTS, DEFAULT, SHARES, prices, risks_without
from oodbench.leaderboard.published import Published, lines_of, widen
from oodbench.leaderboard.standings import RANK, Column, acceptance, columns, labels
from oodbench.leaderboard.summary import HEIGHT, MARGIN, WIDTH, draw_costs, find_best
from oodbench.measures.paired import Floats
from oodbench.report.acceptance import DOUBLE_DAGGER
from oodbench.report.layout import clean

RUN_FILES = ("run.json", "records.csv", "scores.parquet", "predictions.parquet", "table.md")
"""The files of a run that an entry links to, where they are."""

Sources: TypeAlias = Mapping[Path, Mapping[str, Any]]
"""What is shown of each run's folder and of each pack."""


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
    sources = {path: _source(path, folder) for path in runs}
    return (
        environment.from_string(_asset("page.html")).render(
            boards=[
                _view(board, title, f"board-{number}", published, sources)
                for number, (board, title) in enumerate(
                    zip(boards, texts.headings(boards), strict=True), start=1
                )
            ],
            uses=_uses(),
            plot_size=(WIDTH, HEIGHT, MARGIN),
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
    board: Board, title: str, anchor: str, published: Sequence[Published], sources: Sources
) -> dict[str, Any]:
    """Return the view of a board for the template."""
    shown = columns(board)
    best, more = find_best(board)
    return {
        "anchor": anchor,
        "heading": title,
        "classifier": texts.describe_classifier(board),
        "counts": f"{_count(board.standings, 'detector')} on {_count(board.sets, 'OOD set')}",
        "best": best,
        "more": more,
        "plot": draw_costs(board),
        "without": prices(_without_detector(board)),
        "columns": [column.title for column in shown],
        "rows": [
            _row(shown, standing, name, f"{anchor}-entry-{number}", sources)
            for number, (name, standing) in enumerate(
                zip(labels(board), board.standings, strict=True), start=1
            )
        ],
        "test": texts.describe_test(board),
        "off_target": f"{DOUBLE_DAGGER} {off_target}" if (off_target := acceptance(board)) else "",
        "published": _published(board, published),
    }


def _uses() -> dict[str, Any]:
    """Return the shares of OOD inputs and the costs that can be chosen, and the first choice."""
    cost, share = divmod(DEFAULT, len(SHARES))
    return {
        "shares": [f"{100 * each:g} %" for each in SHARES],
        "costs": [f"{each:g}" for each in COSTS],
        "share": share,
        "cost": cost,
        "default": DEFAULT,
    }


def _without_detector(board: Board) -> Floats | None:
    """Return what an input costs without a detector; None if no entry's costs are known."""
    accuracy = board.id_accuracy.mean
    known = any(each.risks is not None for each in board.standings)
    return risks_without(accuracy) if known and not math.isnan(accuracy) else None


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _published(board: Board, published: Sequence[Published]) -> dict[str, Any]:
    wide = widen(lines_of(board, published), board.columns)
    return {
        "measures": [(clean(name), list(map(clean, titles))) for name, titles in wide.measures],
        "rows": [(clean(name), clean(place), figures) for name, place, figures in wide.rows],
    }


def _row(
    shown: Sequence[Column], standing: Standing, name: str, anchor: str, sources: Sources
) -> dict[str, Any]:
    entry = standing.entry
    citation, url = entry.paper
    errors = dict.fromkeys(row["error"] for row in entry.records if row["status"] == "failed")
    return {
        "anchor": anchor,
        "name": name,
        "rank": _cell(RANK, standing),
        "cells": [_cell(column, standing) for column in shown],
        "prices": prices(standing.risks),
        "parameters": describe_parameters(entry.parameters),
        "plugin": clean(entry.plugin),
        "paper": clean(citation),
        "url": url if urlsplit(url).scheme in ("http", "https") else "",
        "deviations": clean(entry.deviations),
        "errors": clean("; ".join(errors)),
        "runs": [sources[path] for path in entry.runs],
    }


def _source(path: Path, folder: Path) -> dict[str, Any]:
    """Return the view of a run's folder or of a pack, with links from the page's folder."""
    name = _relative(path, folder)
    if path.is_file():
        kind, files = "verified pack", [(path.name, name)]
    else:
        own = {each.name for each in os.scandir(path)}
        kind, files = "own run", [(file, f"{name}/{file}") for file in RUN_FILES if file in own]
    return {
        "name": clean(name),
        "kind": kind,
        "files": [
            {"name": clean(title), "address": quote(os.fsencode(address))}
            for title, address in files
        ],
    }


def _cell(column: Column, standing: Standing) -> dict[str, str]:
    """Return what a cell shows, its deviation, its order and its shade, a share of the darkest."""
    cell, order = column.cell(standing), column.order(standing)
    shade = min(max(2 * order - 1, 0.0), 1.0) if column.shaded and not math.isnan(order) else 0.0
    return {
        "text": cell.text + "".join(cell.marks),
        "spread": cell.spread,
        "order": _order(order),
        "shade": f"{shade * shade:.2f}" if column.shaded else "",
    }


def _order(value: float) -> str:
    """Return a number to sort by; missing values come last in ascending order of ranks."""
    return "-1" if math.isnan(value) else "1e9" if math.isinf(value) else repr(float(value))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
