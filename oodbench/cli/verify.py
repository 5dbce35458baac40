"""The command ``verify``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import complain, say

if TYPE_CHECKING:
    from oodbench.results.run import Run
    from oodbench.runs.replayed import Replay


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
    parser.add_argument(
        "--replay",
        type=arguments.count,
        metavar="N",
        help="also score N images of each set anew, drawn by a secret seed, and compare",
    )
    arguments.add(parser, "data", "store")
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
            replayed = None
            if options.replay and not verdict.misfits:
                replayed = _replay(run, options)
    except InvalidData as error:
        complain(f"does not fit: {error}")
        return 1
    misfits, unchecked = list(verdict.misfits), list(verdict.unchecked)
    if replayed:
        misfits += replayed.misfits
        unchecked += replayed.unchecked
    for sentence in misfits:
        complain(f"does not fit: {sentence}")
    for sentence in unchecked:
        say(f"not checked: {sentence}")
    if misfits:
        return 1
    say(f"verified: {verdict.figures:,} figures follow from the scores")
    if replayed and replayed.scores:
        say(f"replayed: {replayed.scores:,} scores are those of the detectors that the pack names")
    return 0


def _replay(run: Run, options: argparse.Namespace) -> Replay:
    from oodbench.engine.progress import Progress
    from oodbench.runs.replayed import replay
    from oodbench.store.opening import open_store
    from oodbench.store.paths import data_folder

    store = open_store(options.store)
    with Progress(quiet=False) as progress:
        return replay(
            run, options.replay, data=data_folder(options.data), store=store, observer=progress
        )
