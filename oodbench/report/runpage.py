"""One self-contained HTML page about a run."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from oodbench.report.build import build
from oodbench.report.columns import shown_by_default
from oodbench.report.footnotes import prevalence_note
from oodbench.report.gallery import Gallery, Images, make_galleries
from oodbench.report.layout import Cell, Table, clean
from oodbench.report.merging import texts_of
from oodbench.report.plots import Plots, draw_plots
from oodbench.report.prevalence import prevalence_table
from oodbench.report.samples import read_shown
from oodbench.results.run import Run

_FACTS = ("benchmark", "plugins", "versions", "hardware", "precision", "wall_seconds")
"""What a page says of ``run.json``, where it is there; the file itself has all."""


_UNDRAWN = Plots(
    *([],) * 4,
    classless="",
    missing=["Plots and images are of one fold each: oodbench report RUN --fold NAME shows them."],
)
"""The plots of a run with folds."""


def run_page(run: Run, images: Mapping[str, Images] | None = None) -> str:
    """Return a self-contained page with a run's tables, plots and provenance.

    Args:
        run: the run.
        images: where the images of its data sets are, by title, as far as they are available.

    Raises:
        InvalidData: if a file of the run is missing, damaged or something else.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    report = build(run.records, shown_by_default(run.records), **texts_of([run]))
    content = {**run.info.get("request", {}), **run.info}
    plots = _UNDRAWN
    galleries: list[Gallery] = []
    unseen: list[str] = []
    if "folds" not in run.info:
        shown = read_shown(run)
        plots = draw_plots(run.records, shown)
        galleries, unseen = make_galleries(shown, images or {})
    return (
        environment.from_string(_asset("run.html")).render(
            title=clean(f"Run of benchmark {run.info.get('benchmark', 'unknown')}"),
            sections=report.sections,
            footnotes=report.footnotes,
            failures=report.failures,
            plots=plots,
            galleries=galleries,
            missing=[clean(sentence) for sentence in plots.missing],
            classless=clean(plots.classless),
            unseen=clean(", ".join(unseen)),
            prevalence=_prevalence(run),
            encode=_encode,
            marks=_marks,
            facts=[(name, _show(content[name])) for name in _FACTS if name in content],
            style=_asset("run.css"),
        )
        + "\n"
    )


def _prevalence(run: Run) -> tuple[str, list[Table]]:
    """Return a sentence on AUPR, and its tables; nothing of folds, or if no detector succeeded."""
    ood = run.records[run.records["ood_dataset"] != ""]
    if "folds" in run.info or not (ood["status"] == "ok").any():
        return "", []
    return prevalence_note(run.records), [prevalence_table(run.records, run.scores())]


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _marks(cell: Cell) -> str:
    """Return the footnotes that a cell refers to, in brackets."""
    return f" [{', '.join(cell.marks)}]" if cell.marks else ""


def _asset(name: str) -> str:
    return (files("oodbench.report") / "assets" / name).read_text(encoding="utf-8")


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return clean(", ".join(f"{name} {_show(item)}" for name, item in value.items()))
    return clean(value if isinstance(value, str) else json.dumps(value))
