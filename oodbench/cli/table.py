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
        "of DeLong's; with --use, in place of 2000",
    )
    parser.add_argument(
        "--use",
        metavar="USE",
        help="what detectors cost in use instead: 'ood=10%%,cost=5:1:1' states the share of OOD "
        "inputs and the costs of an accepted OOD input, an accepted error and a rejected good one",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the table of one or several runs."""
    text = _measures(options) if options.use is None else _use(options)
    if options.format == "terminal":
        print_ansi(text)
    else:
        print_document(text)
    return 0


def _use(options: argparse.Namespace) -> str:
    """Return the table of what the detectors of runs cost in use."""
    from oodbench.errors import UserError
    from oodbench.hardware import count_cpus
    from oodbench.report.tables import write
    from oodbench.report.use import SAMPLES, read_use, use_frame, use_report
    from oodbench.results.run import read_run

    if options.metrics or options.like:
        raise UserError("--use has columns of its own; leave out --metrics and --like")
    use = read_use(options.use)
    runs = [part for path in options.runs for part in read_run(path).in_folds()]
    samples, threads = options.bootstrap or SAMPLES, count_cpus()
    if options.format != "csv":
        return write(use_report(runs, use, samples, threads), options.format, width())
    if len(runs) > 1:
        raise UserError("--use writes the CSV of one run at a time")
    frame = use_frame(runs[0], use, samples, threads)
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _measures(options: argparse.Namespace) -> str:
    """Return the tables of measures."""
    import pandas as pd

    from oodbench.hardware import count_cpus
    from oodbench.report.build import DELONG
    from oodbench.report.derived import DERIVED, add_derived, scored_runs
    from oodbench.report.merging import combine, tell_apart, texts_of
    from oodbench.report.resampled import resampled
    from oodbench.report.tables import render
    from oodbench.results.run import Run, read_run

    def read(path: Path) -> Run:
        run = read_run(path)
        return replace(run, records=pd.concat([measured(part) for part in run.in_folds()]))

    def measured(run: Run) -> pd.DataFrame:
        records = run.records
        if not DERIVED.keys().isdisjoint(options.metrics or ()):
            scored = scored_runs(run.records, run.scores(), run.predictions())
            records = add_derived(records, scored, options.metrics)
        if options.bootstrap:
            records = resampled(records, run.scores(), options.bootstrap, count_cpus())
        return records

    runs = tell_apart([read(path) for path in options.runs])
    bootstrap = f"of {options.bootstrap or 0:,} bootstrap samples"
    return render(
        combine(runs),
        format=options.format,
        **texts_of(runs),
        metrics=options.metrics,
        like=options.like,
        interval=bootstrap if options.bootstrap else DELONG,
        width=width(),
    )
