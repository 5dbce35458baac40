"""The command ``plot``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, complain, say

if TYPE_CHECKING:
    from oodbench.registry.lookup import Registry


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "draw figures of a run, as PNG and SVG"
    parser = commands.add_parser("plot", help=text)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE",
        help="figures to draw (default: all that can be drawn)",
    )
    parser.add_argument("--list", action="store_true", help="list the available figures")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="output folder (default: RUN/figures)"
    )
    parser.add_argument(
        "--store",
        metavar="DIR",
        help="artifact store of the run (default: a cache folder)",
    )
    parser.add_argument(
        "--other", type=Path, metavar="RUN", help="a second run, for figures that compare two"
    )
    arguments.add_fold(parser)
    arguments.add_quiet(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Draw figures; return 1 if one broke, or one named by the user cannot be drawn."""
    from oodbench.errors import UserError
    from oodbench.registry.lookup import load_registry

    loaded = load_registry()
    if options.list:
        _print_figures(loaded)
        return 0
    if options.run is None:
        raise UserError("name a run's folder, or use --list")
    chosen = [loaded.figures[name].create() for name in options.figures or loaded.figures]

    from oodbench.engine.progress import Progress
    from oodbench.plot.draw import draw
    from oodbench.plot.view import StoredRun
    from oodbench.results.folds import read_fold
    from oodbench.store.opening import open_store

    store = open_store(options.store)
    other = (
        StoredRun(read_fold(options.other, options.fold), store, loaded) if options.other else None
    )
    view = StoredRun(read_fold(options.run, options.fold), store, loaded, other)
    complete = True
    with Progress(quiet=options.quiet) as progress:
        progress.planned(len(chosen))
        for figure in chosen:
            with progress.step(f"draw {figure.info.name}"):
                (drawn,) = draw([figure], view, options.out or options.run / "figures")
            for path in drawn.paths:
                say(path)
            if drawn.reason:
                complain(f"oodbench: {drawn.name} is not drawn: {drawn.reason}")
                complete &= not (drawn.failed or options.figures)
    return 0 if complete else 1


def _print_figures(loaded: Registry) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "paper", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for entry in loaded.figures.values():
        figure = entry.target
        numbers = ", ".join(str(number) for number in figure.numbers)
        about = f"{figure.info.summary}\nneeds {figure.needs}"
        table.add_row(as_markup(entry.name), numbers, as_markup(about))
    Console().print(table)
