"""Say where images, artifacts and runs live unless a user says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

DATA_VARIABLE = "OODBENCH_DATA"
"""The environment variable that names the data folder."""

RUNS = Path("results") / "runs"


def data_folder(chosen: str | Path | None) -> Path:
    """Return the folder of images: the one chosen, ``$OODBENCH_DATA``, or a user cache folder."""
    folder = Path(chosen or os.environ.get(DATA_VARIABLE) or _cache() / "data")
    return folder.expanduser().absolute()


def store_folder(chosen: str | Path | None) -> Path:
    """Return the folder of artifacts: the one chosen, or a user cache folder."""
    return Path(chosen).expanduser() if chosen else _cache() / "store"


def _cache() -> Path:
    return platformdirs.user_cache_path("oodbench")
