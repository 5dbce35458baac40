"""The command ``compare``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli.output import print_ansi, print_document, width


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "compare", help="show what changed between two runs, whether it exceeds noise, and why"
    )
    parser.add_argument("first", type=Path, metavar="RUN_A", help="a run's folder")
    parser.add_argument("second", type=Path, metavar="RUN_B", help="another run's folder")
    parser.add_argument(
        "--format",
        choices=["terminal", "markdown", "latex", "html"],
        default="terminal",
        help="default: terminal",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the differences between two runs."""
    from oodbench.report.comparison import compare, report
    from oodbench.report.markup import latex, markdown, page
    from oodbench.report.terminal import terminal
    from oodbench.results.run import read_run

    found = report(compare(read_run(options.first), read_run(options.second)))
    if options.format == "terminal":
        print_ansi(terminal(found, width()))
    else:
        writers = {"markdown": markdown, "latex": latex, "html": page}
        print_document(writers[options.format](found))
    return 0
