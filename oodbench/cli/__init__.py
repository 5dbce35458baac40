"""The command line. Exit codes: 0, 1 (a detector failed), 2 (the request is wrong)."""

from __future__ import annotations

import argparse
import codecs
import io
import sys
import unicodedata
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from oodbench.cli.output import complain
from oodbench.errors import OodbenchError, UserError
from oodbench.store.paths import expanded

COMMANDS = (
    "run",
    "evaluate",
    "importing",
    "listing",
    "table",
    "report",
    "compare",
    "leaderboard",
    "submit",
    "recompute",
    "verify",
    "plot",
    "audit",
    "tune",
    "data",
    "store",
    "export",
    "score",
    "curves",
    "new_plugin",
    "check",
    "doctor",
)
"""The modules of the commands, in the order of ``--help``; each has a function ``add``."""

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    _print_anything()
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        result: int = options.execute(options)
    except UserError as error:
        complain(f"oodbench: {error}")
        return MISUSED
    except OodbenchError as error:
        complain(f"oodbench: {error}")
        return FAILED
    except PermissionError as error:
        complain(f"oodbench: {error.filename or error}: permission denied")
        return MISUSED
    except KeyboardInterrupt:
        complain("oodbench: interrupted; the same command resumes from here")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        return 0
    return result


def _print_anything() -> None:
    """Replace characters that the output's encoding lacks, and escape bytes in names."""
    codecs.register_error("oodbench", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="oodbench")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return a replacement for characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_replacement(each) for each in lost), error.end


def _replacement(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in "─–":
        return "-"
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters or "?"


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Commands whose help text is their description too, as a sentence."""

    def add_parser(self, name: str, **settings: Any) -> Any:
        """Add the parser of a command."""
        text = settings["help"]
        settings.setdefault("description", f"{text[0].upper()}{text[1:]}.")
        return super().add_parser(name, **settings)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage in front of it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.register("action", "parsers", _Commands)
        self.register("type", Path, _path)  # in all commands, ~ is the home folder

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; a command names its own help where it does not know one."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> Any:
        complain(f"oodbench: {message} (see '{self.prog} --help')")
        self.exit(MISUSED)


class _Version(argparse.Action):
    """The version, looked up when asked for: that takes as long as all else of ``--help``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the version and exit."""
        from importlib.metadata import version

        print(f"oodbench {version('oodbench')}")
        parser.exit()


def _path(text: str) -> Path:
    try:
        return expanded(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="oodbench",
        description="Compare out-of-distribution detectors, with tables that can be trusted.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        import_module(f"oodbench.cli.{command}").add(commands)
    return parser
