"""The options of `oodbench.run`: what to compare, and where and how to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.request.options import ENGINES, Options, option

if TYPE_CHECKING:
    from oodbench.engine import Observer


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What to compare, and where and by what means it is run."""

    locked: str | Path | None = option(
        None, "finished run whose whole request is repeated, and compared", "RUN"
    )
    store: str | Path | None = option(
        None,
        "artifact store: a folder, or a URL such as s3://bucket/prefix (default: a cache folder)",
        "DIR",
    )
    out: str | Path | None = option(
        None, "output folder (default: results/runs/<id>-<date>-<key>)", "DIR"
    )
    engine: str = option(
        "auto",
        "how jobs run; auto: by Ray where it saves time (the records are the same)",
        choices=ENGINES,
    )
    ray_address: str | None = option(
        None,
        "address of a running Ray cluster; all its machines must see data and store",
        "ADDRESS",
    )
    force: bool = option(False, "replace another request's run in the output folder")
    timeout: float | None = option(
        None,
        "time limit of a job, after which it fails (default: none)",
        "SECONDS",
    )
    observer: Observer | None = option(
        None, "object that is told about progress; by default nothing is shown"
    )
