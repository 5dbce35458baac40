"""The files of the leaderboard, built from folders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import UserError, reason_of
from oodbench.leaderboard.boards import Board, build_boards
from oodbench.leaderboard.entries import Skipped
from oodbench.leaderboard.finding import OpenPack, find_entries
from oodbench.leaderboard.page import write_page
from oodbench.leaderboard.published import Published, find_published
from oodbench.leaderboard.texts import write_csv, write_latex, write_markdown


@dataclass(frozen=True)
class Leaderboard:
    """All that was found in some folders.

    Attributes:
        boards: one for each protocol.
        published: figures of other sources.
        skipped: runs and packs that were left out, and why.
    """

    boards: Sequence[Board]
    published: Sequence[Published]
    skipped: Sequence[Skipped]

    def write(self, folder: Path) -> list[Path]:
        """Write ``index.html``, ``leaderboard.md``, ``leaderboard.csv`` and ``leaderboard.tex``.

        Equal runs give equal bytes.

        Raises:
            UserError: if the folder cannot be written to.
        """
        contents = {
            "index.html": write_page(self.boards, self.published, self.skipped, folder),
            "leaderboard.md": write_markdown(self.boards, self.published),
            "leaderboard.csv": write_csv(self.boards),
            "leaderboard.tex": write_latex(self.boards, self.published),
        }
        place = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in contents.items():
                place = folder / name
                place.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise UserError(
                f"cannot write the leaderboard to '{place}': {reason_of(error)}"
            ) from error
        return [folder / name for name in contents]


def read_leaderboard(roots: Sequence[Path], open_pack: OpenPack | None = None) -> Leaderboard:
    """Read every run, every pack and every file of published figures in some folders.

    Args:
        roots: the folders.
        open_pack: verifies and opens a pack; without it packs are left out.

    Raises:
        UserError: if a folder does not exist.
        InvalidData: if a file of published figures is ill-formed.
    """
    entries, skipped = find_entries(roots, open_pack)
    return Leaderboard(build_boards(entries), find_published(roots), skipped)
