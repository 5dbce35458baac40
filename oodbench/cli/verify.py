"""The command ``verify``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli import arguments
from oodbench.cli.output import complain, say


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "verify", help="recompute a pack's figures and compare it with its benchmark"
    )
    parser.add_argument("pack", type=Path, metavar="PACK", help="file made by 'oodbench submit'")
    parser.add_argument(
        "--benchmark",
        metavar="NAME",
        help="name or TOML file of the benchmark (default: the one that the pack names)",
    )
    arguments.add(parser, "data")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Verify a pack; name each misfit and return 1 if there is one."""
    from oodbench.errors import InvalidData
    from oodbench.store.paths import data_folder
    from oodbench.submission.admission import Verifier

    verifier = Verifier(data_folder(options.data), options.benchmark)
    try:
        with verifier.extracted(options.pack) as run:
            verdict = verifier.verdict(run)
    except InvalidData as error:
        complain(f"does not fit: {error}")
        return 1
    for sentence in verdict.misfits:
        complain(f"does not fit: {sentence}")
    for sentence in verdict.unchecked:
        say(f"not checked: {sentence}")
    if verdict.misfits:
        return 1
    say(f"verified: {verdict.figures:,} figures follow from the scores")
    return 0
