"""The options of `oodbench.run`: what can be asked for, and where and how it is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.options import ENGINES, Options, option

if TYPE_CHECKING:
    from oodbench.engine import Observer


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What to compare, and where and by what means it is run."""

    store: str | Path | None = option(None, "artifact store; default: a cache folder", "DIR")
    out: str | Path | None = option(
        None, "the run's files; default: results/runs/<id>-<date>-<key>", "DIR"
    )
    engine: str = option(
        "auto", "auto: ray where that pays off; the records are the same", choices=ENGINES
    )
    ray_address: str | None = option(
        None, "of a running Ray cluster, all of which sees data and store", "ADDRESS"
    )
    force: bool = option(False, "replace another request's run in out")
    timeout: float | None = option(
        None, "a job that takes longer fails, and others go on; default: none does", "SECONDS"
    )
    observer: Observer | None = option(None, "told what happens; by default nothing is shown")
