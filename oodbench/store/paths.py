"""The default folders of images, artifacts and runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from oodbench.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the harness."""

DATA_VARIABLE = "OODBENCH_DATA"
"""The environment variable that names the data folder."""

RUNS = Path("results") / "runs"


def data_folder(chosen: str | Path | None) -> Path:
    """Return the folder of images: the one chosen, ``$OODBENCH_DATA``, or a user cache folder."""
    return expanded(chosen or os.environ.get(DATA_VARIABLE) or _cache() / "data").absolute()


def store_folder(chosen: str | Path | None) -> Path:
    """Return the folder of artifacts: the one chosen, or a user cache folder."""
    return expanded(chosen) if chosen else _cache() / "store"


def expanded(path: str | Path) -> Path:
    """Return a path as a user means it: ``~`` is the home folder.

    Raises:
        UserError: if it begins with the name of a user who is unknown, as in ``~name/images``.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: there is no such user; write ./{path} for a folder") from error


def _cache() -> Path:
    import platformdirs  # not for --help

    return platformdirs.user_cache_path("oodbench")


def as_name(title: str) -> str:
    """Return a title as the name of a folder: lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "unnamed"


def printable(name: str) -> str:
    """Return the name of a file with the bytes escaped that are no text."""
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")
