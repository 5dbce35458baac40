"""The command ``leaderboard``."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import complain, say

if TYPE_CHECKING:
    from oodbench.engine.progress import Progress
    from oodbench.leaderboard.finding import OpenPack
    from oodbench.submission.admission import Verifier


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "leaderboard", help="build the leaderboard's page and tables from folders of runs"
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folder to search for runs and packs"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder for index.html and the tables",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the Markdown tables to this file"
    )
    arguments.add(parser, "data")
    arguments.add_quiet(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Build the leaderboard; runs that are ill-formed and packs that do not verify are left out."""
    from oodbench.engine.progress import Progress
    from oodbench.errors import UserError
    from oodbench.leaderboard.build import read_leaderboard
    from oodbench.leaderboard.texts import write_markdown

    with Progress(quiet=options.quiet) as progress:
        progress.planned(2)
        with progress.step("read the runs"):
            found = read_leaderboard(options.folders, _opener(options.data, progress))
        for each in found.skipped:
            complain(f"left out: {each.path}: {each.reason}")
        if not (found.boards or found.published):
            folders = ", ".join(f"'{folder}'" for folder in options.folders)
            raise UserError(f"no run, pack or published figures to show in {folders}")
        with progress.step("write page and tables"):
            written = found.write(options.out)
    if options.markdown is not None:
        text = write_markdown(found.boards, found.published)
        try:
            options.markdown.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(f"cannot write '{options.markdown}': {error.strerror}") from error
    entries = sum(len(board.standings) for board in found.boards)
    say(f"{len(found.boards)} tables, {entries} entries: {written[0]}")
    return 0


def _opener(data: Path | None, progress: Progress) -> OpenPack:
    """Return a function that opens packs; plugins and torch are imported at its first call."""

    @functools.cache
    def verifier() -> Verifier:
        from oodbench.store.paths import data_folder
        from oodbench.submission.admission import Verifier

        return Verifier(data_folder(data))

    @contextmanager
    def open_pack(pack: Path) -> Iterator[Path]:
        progress.planned(1)
        with progress.step(f"verify {pack.name}"), verifier().open(pack) as folder:
            yield folder

    return open_pack
