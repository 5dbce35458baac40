"""The command ``curves``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodbench.cli.output import say


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "write a run's training curves as TensorBoard event files"
    parser = commands.add_parser("curves", help=text)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a folder for each training; default: RUN/curves"
    )
    parser.add_argument("--store", metavar="DIR", help="of the run")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the figures that trainings reported: losses, accuracies."""
    from oodbench.errors import UserError, reason_of
    from oodbench.results.run import read_run
    from oodbench.store.opening import open_store
    from oodbench.store.paths import distinct_names

    run = read_run(options.run)
    store = open_store(options.store)
    written = 0
    jobs = run.info.get("jobs", {})
    names = distinct_names(jobs.values())
    for ref, title in jobs.items():
        artifact = store.find_written(ref)
        points = artifact.meta.get("curves") if artifact else None
        if not points:
            continue
        folder = (options.out or run.directory / "curves") / names[title]
        try:
            _write(points, folder)
        except OSError as error:
            raise UserError(f"cannot write to '{folder}': {reason_of(error)}") from error
        say(folder)
        written += 1
    if not written:
        raise UserError(f"the store '{store}' has no training curve of this run")
    return 0


def _write(points: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write one training's figures."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for point in points:
            for name in point.keys() - {"done"}:
                writer.add_scalar(name, point[name], int(point["done"]))
