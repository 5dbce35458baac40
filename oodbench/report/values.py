"""Values of ``run.json`` as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_HEXADECIMAL = frozenset("0123456789abcdef")


def flatten(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values of nested tables with the names that lead to them."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flatten(item, (*path, str(name)))
    else:
        yield path, value


def show(value: Any) -> str:
    """Return a value for a reader; of a digest, its beginning."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:12]}…" if len(text) == 64 and set(text) <= _HEXADECIMAL else text
