"""Printing to the terminal; names and texts of plugins, packs and files cannot move its cursor.

Everything that a command prints passes through one of these functions.
"""

from __future__ import annotations

import sys

from oodbench.report.layout import printable


def say(text: object) -> None:
    """Print one line."""
    print(printable(str(text)))


def complain(text: object) -> None:
    """Print one line to stderr."""
    print(printable(str(text)), file=sys.stderr)


def print_document(text: str) -> None:
    """Print a text of several lines that ends with its own line break."""
    print("\n".join(map(printable, text.split("\n"))), end="")


def print_ansi(text: str) -> None:
    """Print a report with ANSI codes, which are left out where the output is no terminal."""
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True, highlight=False).print(Text.from_ansi(text))


def as_markup(text: object) -> str:
    """Return text, of several lines perhaps, that rich prints as it is."""
    from rich.markup import escape

    return "\n".join(escape(printable(line)) for line in str(text).split("\n"))
