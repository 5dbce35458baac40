"""Write one HTML page about a run, with everything in it."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

from oodbench.report.build import build
from oodbench.report.columns import DEFAULT
from oodbench.report.layout import Cell, clean
from oodbench.report.plots import draw_plots
from oodbench.results import Run, groups_of

_FACTS = ("benchmark", "plugins", "versions", "hardware", "precision", "wall_seconds")
"""What a page says of ``run.json``, where it is there; the file itself has all."""


def run_page(run: Run) -> str:
    """Return a page with a run's tables, plots and provenance, which asks nobody for anything.

    Raises:
        InvalidData: if a file of the run is missing, damaged or something else.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    notes, deviations = (run.info.get(name, {}) for name in ("notes", "deviations"))
    report = build(run.records, DEFAULT, notes, deviations, groups_of([run]))
    content = {**run.info.get("request", {}), **run.info}
    plots = [
        {
            "title": plot.title,
            "description": plot.description,
            "data": base64.b64encode(plot.svg).decode("ascii"),
        }
        for plot in draw_plots(run)
    ]
    return (
        environment.from_string(_asset("run.html")).render(
            title=clean(f"Run of benchmark {run.info.get('benchmark', 'unknown')}"),
            sections=report.sections,
            footnotes=report.footnotes,
            failures=report.failures,
            plots=plots,
            marks=_marks,
            facts=[(name, _show(content[name])) for name in _FACTS if name in content],
            style=_asset("run.css"),
        )
        + "\n"
    )


def _marks(cell: Cell) -> str:
    """Return the footnotes that a cell refers to, in brackets."""
    return f" [{', '.join(cell.marks)}]" if cell.marks else ""


def _asset(name: str) -> str:
    return (files("oodbench.report") / "assets" / name).read_text(encoding="utf-8")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return clean(", ".join(f"{name} {_show(item)}" for name, item in value.items()))
    return clean(value if isinstance(value, str) else json.dumps(value))
