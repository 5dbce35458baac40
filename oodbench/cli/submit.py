"""The command ``submit``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli.output import say


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("submit", help="pack a run into one file that others can verify")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="output file (default: the run's name with .zip)"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Pack a run: records, scores, predictions and provenance."""
    from oodbench.results.run import read_run
    from oodbench.submission.pack import write_pack

    run = read_run(options.run)
    path = options.out or Path(f"{options.run.resolve().name}.zip")
    write_pack(run, path)
    say(f"{path} ({path.stat().st_size:,} bytes); 'oodbench verify {path}' checks it")
    return 0
