"""The command ``table``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from oodbench.cli import arguments
from oodbench.cli.output import print_ansi, print_document, width


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("table", help="print the table of one or several finished runs")
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
        help="measures to show; the first one is compared (default: auroc,fpr95,acc95,acc99)",
    )
    parser.add_argument(
        "--like", metavar="TABLE", help="use rows and order of a published table: table11 (GANAD's)"
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
    from oodbench.hardware import count_cpus
    from oodbench.report.build import DELONG
    from oodbench.report.merging import combine, tell_apart, texts_of
    from oodbench.report.prevalence import BALANCED, add_balanced
    from oodbench.report.resampled import resampled
    from oodbench.report.tables import render
    from oodbench.results.run import Run, read_run

    def read(path: Path) -> Run:
        run = read_run(path)
        records = run.records
        if not BALANCED.keys().isdisjoint(options.metrics or ()):
            records = add_balanced(records, run.scores())
        if options.bootstrap:
            records = resampled(records, run.scores(), options.bootstrap, count_cpus())
        return replace(run, records=records)

    runs = tell_apart([read(path) for path in options.runs])
    bootstrap = f"of {options.bootstrap or 0:,} bootstrap samples"
    text = render(
        combine(runs),
        format=options.format,
        **texts_of(runs),
        metrics=options.metrics,
        like=options.like,
        interval=bootstrap if options.bootstrap else DELONG,
        width=width(),
    )
    if options.format == "terminal":
        print_ansi(text)
    else:
        print_document(text)
    return 0
