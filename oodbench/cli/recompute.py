"""The command ``recompute``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli.output import say


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "recompute the figures of runs from their scores and rewrite records and tables"
    parser = commands.add_parser(
        "recompute",
        help=text,
        description=f"{text[0].upper()}{text[1:]}. It brings runs of an older version up to date; "
        "no detector is run.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Rewrite the records and tables of runs."""
    from oodbench.report.recomputed import recompute_run

    for directory in options.runs:
        run = recompute_run(directory)
        say(f"{run.directory}/: {len(run.records):,} records")
    return 0
