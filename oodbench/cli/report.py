"""The command ``report``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli import arguments
from oodbench.cli.output import say


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("report", help="write one HTML page with a run's tables and plots")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="output file (default: report.html in the run's folder)",
    )
    arguments.add_fold(parser)
    arguments.add(parser, "data")
    arguments.add_quiet(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the page of a run."""
    from oodbench.engine.progress import Progress
    from oodbench.errors import UserError
    from oodbench.plot.images import find_images
    from oodbench.registry.lookup import load_registry
    from oodbench.report.runpage import run_page
    from oodbench.results.folds import read_fold
    from oodbench.results.run import read_run
    from oodbench.store.paths import data_folder

    path = options.out or options.run / "report.html"
    run = read_run(options.run) if options.fold is None else read_fold(options.run, options.fold)
    with Progress(quiet=options.quiet) as progress:
        progress.planned(2)
        with progress.step("find the images"):
            images = find_images(run, load_registry(), data_folder(options.data))
        with progress.step("make tables and plots"):
            text = run_page(run, images)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror}") from error
    say(path)
    return 0
