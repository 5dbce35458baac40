"""Strategies for values, bytes and files as nobody would write them who means well."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

TEXTS = [
    "",
    " ",
    "\x1b[2J\x1b]0;t\x07",
    "\u202egnp.exe",
    "a\nverified: 42 figures",
    "../../../evil",
    "/etc/passwd",
    "http://[::1",
    "<script>alert(1)</script>",
    "[bold]x[/bold] [/]",
    "=cmd|' /C calc'!A0",
    "x" * 5_000,
    "x" * 200_000,
    "NaN",
    "none",
    "Ω" * 300,
    "\x00",
    "a/b",
    "%s%n{0}",
]
NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**12, 10**400, -(10**400)]
FLOATS = [1e-320, 1e308, -1.0, 0.5, float("inf"), float("-inf"), float("nan")]


def nested(depth: int) -> list[Any]:
    """Return lists inside one another."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([*TEXTS, *NUMBERS, *FLOATS, None, True, False, [], {}, [[]], {"": {}}]),
    st.sampled_from([50, 150, 700]).map(nested),
    st.sampled_from([3, 5_000]).map(lambda count: [0] * count),
    st.sampled_from([3, 2_000]).map(lambda count: {f"k{number}": {} for number in range(count)}),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where there is something in a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return found + [place for key, item in items for place in places(item, (*path, key))]


@st.composite
def changed(draw: st.DrawFn, value: Any, changes: int = 3) -> Any:
    """Change some places of a JSON value: put something else there, add to it, or remove it."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, changes))):
        there = places(value)
        if not there:
            break
        *path, key = draw(st.sampled_from(there))
        inner = value
        for part in path:
            inner = inner[part]
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                inner[key] = draw(values)
            case "remove":
                del inner[key]
            case "add" if isinstance(inner, dict):
                inner[draw(st.sampled_from([text[:100] for text in TEXTS]))] = draw(values)
    return value


@st.composite
def mangled(draw: st.DrawFn, content: bytes) -> bytes:
    """Change bytes: overwrite, cut, remove, repeat or insert some."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # From the end as often as from the start: footers are there.
        distance = draw(st.integers(0, max(len(changed) - 1, 0)))
        start = draw(st.sampled_from([distance, max(len(changed) - 1 - distance % 600, 0)]))
        piece = draw(st.binary(min_size=1, max_size=9) | st.sampled_from(PIECES))
        match draw(
            st.sampled_from(["overwrite", "overwrite", "cut", "remove", "repeat", "insert"])
        ):
            case "overwrite":
                changed[start : start + len(piece)] = piece
            case "cut":
                del changed[start:]
            case "remove":
                del changed[start : start + len(piece)]
            case "repeat":
                changed[start:start] = changed[start : start + 200] * 3
            case "insert":
                changed[start:start] = piece
    return bytes(changed)


PIECES = [b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\xff\x0f", b'"' * 3, b"[" * 500, b"PK\x05\x06"]
