"""Kept runs, as the scripts of this folder read them."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from oodbench.results.run import read_run

if TYPE_CHECKING:
    from oodbench.plot.view import StoredRun


@dataclass(frozen=True)
class KeptRun:
    """A run in its folder.

    Attributes:
        folder: holds it.
        info: content of ``run.json``.
        records: content of ``records.csv``; missing values of texts are NaN.
    """

    folder: Path
    info: dict[str, Any]
    records: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> KeptRun:
        """Read a run."""
        info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        records = pd.read_csv(folder / "records.csv", keep_default_na=False, na_values=[""])
        return cls(folder, info, records)

    def heading(self) -> str:
        """Return the heading of its part of a page, and where it was made."""
        shown = ", ".join(f"{name} {value}" for name, value in self.info["hardware"].items())
        return (
            f"## Run `{self.folder.name}`\n\n"
            "Its command is in `results/README.md`.\n\n"
            f"Machine: {shown}; precision {self.info['request']['precision']}.\n"
        )


def items(texts: dict[str, str], link: str = ": ", code: bool = False) -> list[str]:
    """Return the items of a list in Markdown, each a name and what is said of it."""
    mark = "`" if code else ""
    return [f"* {mark}{name}{mark}{link}{text}" for name, text in texts.items()]


def arguments(description: str, runs: int | str = "+") -> argparse.Namespace:
    """Return what a page is made of: folders of ``runs``, and a file of ``published`` figures.

    Args:
        description: of the script.
        runs: how many there are, as ``nargs`` of `argparse`.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("runs", nargs=runs, type=Path, metavar="RUN")
    parser.add_argument("--published", type=Path, required=True, metavar="FILE")
    return parser.parse_args()


def stored_run(description: str) -> tuple[StoredRun, Path]:
    """Return the run that was named, with what its store has of it, and its folder."""
    from oodbench.plot.view import StoredRun
    from oodbench.registry.lookup import load_registry
    from oodbench.store.opening import open_store

    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--store", metavar="DIR", help="of the run")
    given = parser.parse_args()
    return StoredRun(read_run(given.run), open_store(given.store), load_registry()), given.run
