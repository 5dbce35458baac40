"""The command ``evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.errors import UserError

if TYPE_CHECKING:
    from oodbench.results.run import Run

EXPLANATION = (
    "SCORES is a CSV or Parquet file with a row for each score and the columns detector, dataset, "
    "split (id, ood, or calibration for held-out ID inputs that thresholds are taken from) and "
    "score. It may have label and prediction of each input, the seed of the detector, and "
    "classifier, classifier_seed and index. The run has the same files as one of 'oodbench run'."
)


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "evaluate scores that were computed elsewhere, as a run of their own"
    parser = commands.add_parser("evaluate", help=text, description=EXPLANATION)
    parser.add_argument("scores", type=Path, metavar="SCORES", help="CSV or Parquet file of scores")
    parser.add_argument(
        "--larger-is",
        choices=["ood", "id"],
        help="what a larger score means: ood, or id as of confidences; must be said",
    )
    arguments.add(parser, "out", "force")
    parser.add_argument("--quiet", action="store_true", help="print no table")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the run of a file of scores, print its table, and say where its files are."""
    from oodbench.runs.evaluated import evaluate

    if options.larger_is is None:
        raise UserError(
            "say what a larger score means, which is never guessed: --larger-is ood, or "
            "--larger-is id (as of confidences)"
        )
    run = evaluate(
        options.scores, larger_is=options.larger_is, out=options.out, force=options.force
    )
    if not options.quiet:
        print_run(run)
    return 1 if (run.records["status"] == "failed").any() else 0


def print_run(run: Run) -> None:
    """Print the table of a run, what was left out, and where its files are."""
    from oodbench.cli.output import print_ansi, say, say_left_out, width
    from oodbench.report.merging import texts_of
    from oodbench.report.tables import render

    print_ansi(render(run.records, format="terminal", width=width(), **texts_of([run])))
    say_left_out(run.info["missing"])
    say(f"{run.directory}/")
