"""The command ``score``."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import complain, print_document, say

if TYPE_CHECKING:
    from oodbench.guard.pictures import Row

COLUMNS = ("path", "prediction", "confidence", "score", "p_value", "decision", "error")


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "score pictures by a guard, and accept or reject each"
    parser = commands.add_parser("score", help=text)
    parser.add_argument(
        "guard", type=Path, metavar="DIR", help="folder written by 'oodbench export --guard'"
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGES", help="pictures, or folders of them"
    )
    parser.add_argument(
        "--alpha",
        type=_alpha,
        default=0.05,
        metavar="RATE",
        help="largest rate of false alarms on ID inputs (default: 0.05)",
    )
    parser.add_argument(
        "--by-class",
        action="store_true",
        help="bound the rate for each predicted class, not only for all inputs together",
    )
    arguments.add(parser, "device")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV file (default: print it)")
    parser.add_argument(
        "--fail-on-reject",
        action="store_true",
        help="exit with code 1 if a picture is rejected or cannot be read",
    )
    arguments.add_quiet(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write a row a picture, and count the decisions."""
    from oodbench.engine.progress import Progress
    from oodbench.guard.guard import load_guard
    from oodbench.guard.pictures import (
        ACCEPTED,
        REJECTED,
        UNREADABLE,
        find_pictures,
        score_pictures,
    )
    from oodbench.hardware import count_cpus

    pictures = find_pictures(options.images)
    guard = load_guard(options.guard, device=options.device, by_class=options.by_class)
    counts = dict.fromkeys((ACCEPTED, REJECTED, UNREADABLE), 0)
    quiet = options.quiet or (options.out is None and sys.stdout.isatty())
    title = f"score {len(pictures):,} pictures"
    with (
        _writer(options.out) as write,
        Progress(quiet=quiet) as progress,
        progress.step(title, len(pictures)) as advance,
    ):
        for row in score_pictures(guard, pictures, options.alpha, count_cpus()):
            write(row)
            counts[row.decision] += 1
            advance()
    summary = ", ".join(f"{count:,} {decision}" for decision, count in counts.items() if count)
    if not options.quiet:
        complain(f"{summary} (alpha {options.alpha:g})")
    if options.out is not None:
        say(options.out)
    failed = counts[REJECTED] + counts[UNREADABLE] > 0
    return 1 if options.fail_on_reject and failed else 0


@contextmanager
def _writer(path: Path | None) -> Iterator[Callable[[Row], object]]:
    """Yield a function that writes rows as CSV, to a file or to the terminal."""
    from oodbench.errors import UserError, reason_of

    def line(values: tuple[Any, ...]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        return text.getvalue()

    def values(row: Row) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in COLUMNS)

    if path is None:
        print_document(line(COLUMNS))
        yield lambda row: print_document(line(values(row)))
        return
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(line(COLUMNS))
            yield lambda row: file.write(line(values(row)))
    except OSError as error:
        raise UserError(f"cannot write '{path}': {reason_of(error)}") from error


def _alpha(text: str) -> float:
    """Read a rate of false alarms."""
    try:
        alpha = float(text)
    except ValueError:
        alpha = 0.0
    if not 0 < alpha < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return alpha
