"""Checks of files from elsewhere, and of values read from them, before they are used."""

from __future__ import annotations

import math
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

DEPTH = 100
"""Tables and lists inside one another; nothing of ours has more than ten."""

LENGTH = 100_000
"""Characters of a text."""

BITS = 63
"""Bits of a whole number, besides its sign."""


def require_size(path: Path, most: int) -> None:
    """Raise `ValueError` unless a path leads to a regular file of no more than so many bytes.

    Devices and pipes may have no end, or wait for a writer that never comes.

    Raises:
        OSError: if there is nothing, or nothing that can be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    if found.st_size > most:
        raise ValueError(f"it has {found.st_size:,} bytes, and {most:,} are the limit")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of no more than so many bytes.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is something else, or larger.
    """
    require_size(path, most)
    return path.read_bytes()


def check_values(value: Any) -> None:
    """Raise `ValueError` if a value holds a number, text or depth beyond all reason.

    Args:
        value: as JSON or TOML is read: dicts, lists and what stands in them.
    """
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} deep")
        if isinstance(each, dict):
            waiting += [(item, depth + 1) for pair in each.items() for item in pair]
        elif isinstance(each, list):
            waiting += [(item, depth + 1) for item in each]
        elif isinstance(each, str) and len(each) > LENGTH:
            raise ValueError(f"a text has more than {LENGTH:,} characters: '{each[:20]}...'")
        elif isinstance(each, int) and each.bit_length() > BITS:
            raise ValueError("a whole number has more than 64 bits")
        elif isinstance(each, float) and not math.isfinite(each):
            raise ValueError(f"a number is not finite: {each}")


def describe(error: ValidationError) -> str:
    """Return the first of the problems that pydantic found, as one clause."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"key '{place}' is missing"
    if problem["type"] == "extra_forbidden":
        return f"key '{place}' is unknown"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    text = (message[0].lower() + message[1:]).replace("valid tuple", "valid list")
    return f"key '{place}' {text}" if text.startswith("should") else f"key '{place}': {text}"
