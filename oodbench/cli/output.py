"""Printing to the terminal; names and texts of plugins, packs and files cannot move its cursor.

Everything that a command prints passes through one of these functions.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from oodbench.report.layout import printable


def width() -> int:
    """Return the columns of the terminal, or 80 where there is none; at least 40."""
    return max(shutil.get_terminal_size().columns, 40)


def say(text: object) -> None:
    """Print a sentence, or the path of a file."""
    print(_fitted(text, sys.stdout))


def complain(text: object) -> None:
    """Print a sentence to stderr."""
    print(_fitted(text, sys.stderr), file=sys.stderr)


def say_left_out(*reasons: Mapping[str, str]) -> None:
    """Print what was left out, sets or detectors, given the reasons by name."""
    for left_out in reasons:
        for name, reason in left_out.items():
            say(f"left out: {name}: {reason}")


def say_command(command: str) -> None:
    """Print a command line that can be copied to a shell, continued where it is too long."""
    lines = [""]
    for part in map(shlex.quote, shlex.split(printable(command))):
        if _is_narrow(sys.stdout) and lines[-1] and len(f"{lines[-1]} {part} \\") > width():
            lines.append("   ")
        lines[-1] += f" {part}" if lines[-1] else part
    print(" \\\n".join(lines))


def _is_narrow(stream: TextIO) -> bool:
    """Return whether lines have to end at `width`; elsewhere a sentence is a line."""
    return stream.isatty() or "COLUMNS" in os.environ


def _fitted(text: object, stream: TextIO) -> str:
    """Return a sentence in lines that fit; a path is never broken, so that it can be copied."""
    line = printable(str(text))
    if isinstance(text, Path) or not _is_narrow(stream):
        return line
    return textwrap.fill(
        line, width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


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
