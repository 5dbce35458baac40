"""The errors that oodbench raises.

::

    OodbenchError
    ├── UserError            the request is wrong; exit code 2, one sentence, no traceback
    │   ├── UnknownName      a name that no plugin registered ("did you mean ...")
    │   ├── InvalidParameter a parameter that does not exist, or a value that does not fit
    │   ├── InvalidData      a file or folder of images that cannot be used
    │   ├── DataUnavailable  images that are neither on disk nor to be had by download
    │   └── FigureUnavailable  a figure that a run has not all for; the others are drawn
    ├── PluginError          a plugin broke its contract; its own rows fail, the rest goes on
    │   └── PluginAborted    it raised what is no `Exception`
    └── StoreError           an artifact could not be written or read
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
import traceback
from collections.abc import Iterable


class OodbenchError(Exception):
    """The root of all errors raised by oodbench."""


class UserError(OodbenchError):
    """A request that cannot be served; the message says what to do about it."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return which of the known names was meant, or all of them where none is similar."""
    known = sorted(known)
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}." if known else "there is none."


class UnknownName(UserError):
    """A name that is not registered.

    Args:
        kind: what was looked up, in the singular: ``"detector"``, ``"parameter of ganad"``.
        name: the name that was not found.
        known: every name that would have been found.
        hint: a sentence to add at the end.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(f"unknown {kind} '{name}'; {suggest(name, known)} {hint}".strip())


class InvalidParameter(UserError):
    """A parameter whose name or value the plugin does not accept."""


class InvalidData(UserError):
    """A file or folder of images that is unreadable, truncated or of a wrong shape."""


class DataUnavailable(UserError):
    """A data set whose images are unavailable; the message names the file or command that helps."""


class FigureUnavailable(UserError):
    """A figure that cannot be drawn from a run; the message says what is missing."""


class PluginError(OodbenchError):
    """A plugin that broke its contract: an exception, NaN scores, a wrong shape."""


class PluginAborted(PluginError):
    """A plugin that raised what is no `Exception`, as `SystemExit`, and would have ended the run.

    Args:
        raised: what it raised.
    """

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"{type(raised).__name__}: {raised}")
        self.raised = raised


class StoreError(OodbenchError):
    """An artifact that could not be written to, or read from, the store."""


def reason_of(error: BaseException) -> str:
    """Return the message of an exception in one line, or its type if it has none.

    Of an error of the operating system it is the plain reason, without number and paths.
    """
    if isinstance(error, OSError) and error.errno and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return a text as one line, without characters that control a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


LONGEST = 10_000
"""Characters of an exception's message that are kept."""


LIBRARIES = sys.stdlib_module_names | {
    *("PIL", "matplotlib", "numpy", "pandas", "pluggy", "pyarrow", "pytorch_ood", "scipy"),
    *("sklearn", "timm", "torch", "torchvision"),
}
"""Packages whose lines say less than the line that called them."""


def describe(error: BaseException) -> str:
    """Return an exception as one line that ends with the line of code at fault, if one is known."""
    if isinstance(error, PluginAborted):
        error = error.raised
    text = one_line(str(error))[:LONGEST]  # records with longer texts are not read
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    place = _place_of(error)
    return f"{line} ({place})" if place else line


def _place_of(error: BaseException) -> str:
    """Return the line of code at fault, such as ``"file.py:3"``; empty if none is known.

    It is the plugin's last line. An error without any has the last line of oodbench, so that a
    fault of oodbench can be found, unless its message already says what is wrong with a plugin or
    a request, or it was raised by the import or the registration of a plugin.
    """
    own = outside = package = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        place = f"{frame.f_code.co_filename.rpartition('/')[2]}:{number}"
        if package == "oodbench":
            own = place
        elif package not in LIBRARIES:
            outside = place
    said = isinstance(error, PluginError | UserError) or package in ("importlib", "pluggy")
    return outside or ("" if said else own)
