"""Print to the terminal."""

from __future__ import annotations

import re

from rich.console import Console
from rich.text import Text


def print_ansi(text: str) -> None:
    """Print text with ANSI codes, which are left out where the output is no terminal."""
    Console(soft_wrap=True, highlight=False).print(Text.from_ansi(text))


def as_name(title: str) -> str:
    """Return a title as the name of a folder: lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
