"""The command ``store``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, complain, say

if TYPE_CHECKING:
    from oodbench.store.artifacts import Store

DAYS = {"d": 1.0, "h": 1 / 24, "w": 7.0}
"""Days in a unit of ``--older``."""


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("store", help="show, check and clean up the artifact store")
    parser.set_defaults(execute=execute)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    status = actions.add_parser("status", help="show how large the artifacts of each stage are")
    verify = actions.add_parser("verify", help="read all artifacts and name the damaged ones")
    clean = actions.add_parser("gc", help="remove old artifacts that no kept run names")
    clean.add_argument(
        "--keep",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders of runs whose artifacts are kept, searched at any depth",
    )
    clean.add_argument(
        "--older",
        type=_days,
        default=30.0,
        metavar="AGE",
        help="keep what is younger, as in 12h, 30d or 8w (default: 30d)",
    )
    clean.add_argument("--dry-run", action="store_true", help="remove nothing")
    single = actions.add_parser("rm", help="remove artifacts by name")
    single.add_argument("names", nargs="+", metavar="STAGE[/KEY]", help="as run.json writes them")
    for action in (status, verify, clean, single):
        arguments.add(action, "store")


def execute(options: argparse.Namespace) -> int:
    """Show, check or clean up the store; return 1 if something in it is damaged."""
    from oodbench.errors import UserError
    from oodbench.store import upkeep
    from oodbench.store.paths import is_remote, store_folder

    if is_remote(options.store):
        raise UserError(
            "'oodbench store' looks after folders, not after object storages: runs check what they "
            "fetch, and the storage's own tools remove what is old"
        )
    store = upkeep.open_store(store_folder(options.store))
    if options.action == "status":
        return _show(store)
    if options.action == "verify":
        return _verify(store)
    if options.action == "rm":
        named = (upkeep.named(store, name) for name in options.names)
        return _remove(store, list(dict.fromkeys(itertools.chain(*named))))
    chosen = upkeep.unneeded(store, _named_by_runs(options.keep), options.older)
    return _remove(store, chosen, dry=options.dry_run)


def _show(store: Store) -> int:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from oodbench.store.upkeep import shares

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("artifacts", justify="right")
    table.add_column("size", justify="right")
    found = shares(store)
    for share in found:
        table.add_row(as_markup(share.name), f"{share.count:,}", decimal(share.bytes))
    total, size = sum(share.count for share in found), sum(share.bytes for share in found)
    table.add_row("in all", f"{total:,}", decimal(size))
    say(store.root)
    Console().print(table)
    return 0


def _verify(store: Store) -> int:
    from oodbench.store.upkeep import examine

    states = dict(examine(store))
    damaged = [place for place, sound in states.items() if not sound]
    for place in damaged:
        complain(f"damaged: {place}")
    if damaged:
        complain("the next run that needs a damaged artifact makes it anew")
        return 1
    say(f"verified: {len(states):,} artifacts are sound")
    return 0


def _remove(store: Store, chosen: Sequence[str], *, dry: bool = False) -> int:
    from rich.filesize import decimal

    from oodbench.store.upkeep import remove, size_of

    size = size_of(store, chosen) if dry else remove(store, chosen)
    did = "would remove" if dry else "removed"
    say(f"{did} {len(chosen):,} artifacts, {decimal(size)}")
    return 0


def _named_by_runs(folders: Collection[Path]) -> set[str]:
    """Return the places of all artifacts that runs in some folders name.

    Raises:
        UserError: if a folder holds no run.
        InvalidData: if a run cannot be read, or does not say which artifacts it needs.
    """
    from oodbench.errors import InvalidData, UserError
    from oodbench.results.files import RUN, read_info

    found: set[str] = set()
    for folder in folders:
        runs = list(folder.rglob(RUN))
        if not runs:
            raise UserError(f"'{folder}' holds no finished run")
        for run in runs:
            info = read_info(run.parent)
            if "jobs" in info:
                found.update(info["jobs"])
            elif "given" not in info:  # scores computed elsewhere need no artifacts
                raise InvalidData(f"'{run}' does not name the artifacts that the run needs")
    return found


def _days(text: str) -> float:
    """Read an age such as ``30d``."""
    number, unit = text[:-1], text[-1:]
    if unit not in DAYS or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not an age such as 12h, 30d or 8w")
    return int(number) * DAYS[unit]
