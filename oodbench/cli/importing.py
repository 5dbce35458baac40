"""The command ``import``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli import arguments

EXPLANATION = (
    "Score files (.npz with conf, pred and label) become runs, one for each network, with the "
    "tests of all detectors in DIR, at any depth. Tables without score files (ood.csv) become "
    "published figures, which 'oodbench leaderboard' shows apart. Pickles are not opened, since "
    "they could run code."
)


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "make runs of the results that OpenOOD leaves"
    parser = commands.add_parser("import", help=text, description=EXPLANATION)
    parser.add_argument("kind", choices=["openood-results"], help="whose results they are")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--id", default="", metavar="NAME", help="ID set, where names and labels do not tell it"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder that the runs' folders are put into (default: results/runs)",
    )
    arguments.add(parser, "force")
    parser.add_argument("--quiet", action="store_true", help="print no tables")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the runs, print their tables, and say where the files are and what was left out."""
    from oodbench.cli.evaluate import print_run
    from oodbench.cli.output import complain, say
    from oodbench.runs.imported import import_openood

    found = import_openood(
        options.folder, id_dataset=options.id, out=options.out, force=options.force
    )
    for run in found.runs:
        if not options.quiet:
            print_run(run)
    if found.figures:
        say(f"tables without scores, as published figures: {found.figures}")
    if found.pickles:
        complain(
            f"oodbench: {len(found.pickles):,} pickles of scores are not opened, since they could "
            f"run code, among them {found.pickles[0]}"
        )
    return 1 if any((run.records["status"] == "failed").any() for run in found.runs) else 0
