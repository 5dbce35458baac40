"""The command ``table``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli import arguments


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("table", help="print the table of one or several runs again")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--format",
        choices=["terminal", "markdown", "csv", "latex", "html"],
        default="terminal",
        help="default: terminal",
    )
    parser.add_argument(
        "--metrics",
        type=arguments.names,
        metavar="A,B",
        help="measures to show, the compared one first (default: auroc,fpr95,acc95,acc99)",
    )
    parser.add_argument(
        "--like", metavar="TABLE", help="rows and order of a published table: table11 (GANAD's)"
    )
    parser.add_argument(
        "--bootstrap",
        type=arguments.count,
        metavar="SAMPLES",
        help="95 %% intervals of AUROC from so many samples of the images, such as 10000, in place "
        "of DeLong's",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the table of one or several runs."""
    from oodbench.cli.output import print_ansi
    from oodbench.hardware import count_cpus
    from oodbench.report.build import DELONG
    from oodbench.report.prevalence import BALANCED, add_balanced
    from oodbench.report.resampled import resampled
    from oodbench.report.tables import render
    from oodbench.results import combine, groups_of, read_run

    runs = [read_run(path) for path in options.runs]
    notes: dict[str, str] = {}
    deviations: dict[str, str] = {}
    for each in runs:
        notes |= each.info["notes"]
        deviations |= each.info["deviations"]
    records = combine(runs)
    if not BALANCED.keys().isdisjoint(options.metrics or ()):
        records = add_balanced(records, (each.scores() for each in runs))
    interval = DELONG
    if options.bootstrap:
        scores = (each.scores() for each in runs)
        records = resampled(records, scores, options.bootstrap, count_cpus())
        interval = f"of {options.bootstrap:,} bootstrap samples"
    text = render(
        records,
        format=options.format,
        notes=notes,
        deviations=deviations,
        groups=groups_of(runs),
        metrics=options.metrics,
        like=options.like,
        interval=interval,
    )
    if options.format == "terminal":
        print_ansi(text)
    else:
        print(text, end="")
    return 0
