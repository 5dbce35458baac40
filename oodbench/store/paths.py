"""The default folders of images, artifacts and runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from oodbench.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the harness."""

DATA_VARIABLE = "OODBENCH_DATA"
"""The environment variable that names the data folder."""

RUNS = Path("results") / "runs"

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")

_URL_AS_PATH = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")

NAME_LENGTH = 100
"""Characters of a title that become part of a file's name at most: file systems take 255 bytes."""


def data_folder(chosen: str | Path | None) -> Path:
    """Return the folder of images: the one chosen, ``$OODBENCH_DATA``, or a user cache folder."""
    return expanded(chosen or os.environ.get(DATA_VARIABLE) or cache_folder() / "data").absolute()


def store_folder(chosen: str | Path | None) -> Path:
    """Return the folder of artifacts: the one chosen, also as ``file:///folder``, or a user cache.

    Raises:
        UserError: if it is a URL, but none of a folder of this machine.
    """
    if not chosen:
        return cache_folder() / "store"
    if isinstance(chosen, Path) and _URL_AS_PATH.match(str(chosen)):
        raise UserError(f"'{chosen}' is a path made of a URL; give the URL as text")
    if not _URL.match(str(chosen)):
        return expanded(chosen)
    address = parsed(str(chosen))
    named = address.netloc not in ("", "localhost") or address.query or address.fragment
    if address.scheme != "file" or named:
        raise UserError(f"'{chosen}' is no folder of this machine; write file:///folder")
    return Path(unquote(address.path))


def parsed(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        UserError: if it is none.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UserError(f"'{url}' is not a URL: {error}") from error


def is_remote(chosen: str | Path | None) -> bool:
    """Return whether a store is named by a URL that is no folder's, as ``s3://bucket/prefix``."""
    scheme = _URL.match(str(chosen or ""))
    return scheme is not None and scheme[1].lower() != "file"


def expanded(path: str | Path) -> Path:
    """Return a path as a user means it: ``~`` is the home folder.

    Raises:
        UserError: if it begins with the name of a user who is unknown, as in ``~name/images``.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: there is no such user; write ./{path} for a folder") from error


def cache_folder() -> Path:
    """Return the folder of a user's cache for us."""
    import platformdirs  # not for --help

    return platformdirs.user_cache_path("oodbench")


def as_name(title: str) -> str:
    """Return a title as the name of a folder: lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "unnamed"


def as_file_name(title: str) -> str:
    """Return a title as a part of a file's name: as `as_name`, but ``react+knn`` is kept."""
    name = re.sub(r"[^a-z0-9+]+", "-", title.lower()).strip("-")
    return name[:NAME_LENGTH] or "unnamed"


def distinct_names(
    titles: Iterable[str], name_of: Callable[[str], str] = as_file_name
) -> dict[str, str]:
    """Return a name for each title, all of them different: a number follows one that is taken."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for title in dict.fromkeys(titles):
        name, number = name_of(title), 1
        while (one := name if number == 1 else f"{name}-{number}").lower() in taken:
            number += 1
        taken.add(one.lower())
        found[title] = one
    return found


def printable(name: str) -> str:
    """Return the name of a file with the bytes escaped that are no text."""
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")
