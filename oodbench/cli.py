"""Parse the command line. Exit codes: 0, 1 (a detector failed), 2 (the request is wrong)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oodbench.errors import OodbenchError, UserError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    from oodbench import commands

    try:
        result: int = getattr(commands, options.command)(options)
    except UserError as error:
        print(f"oodbench: {error}", file=sys.stderr)
        return MISUSED
    except OodbenchError as error:
        print(f"oodbench: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("oodbench: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        return 0
    return result


class _Parser(argparse.ArgumentParser):
    """Say what is wrong in one sentence, without the usage in front of it."""

    def error(self, message: str) -> Any:
        self.exit(MISUSED, f"oodbench: {message} (see '{self.prog} --help')\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="oodbench",
        description="Compare out-of-distribution detectors, with tables that can be trusted.",
    )
    parser.add_argument("--version", action="version", version=f"oodbench {version('oodbench')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_run(commands)
    _add_list(commands)
    _add_table(commands)
    _add_data(commands)
    _add_doctor(commands)
    return parser


def _add_run(commands: Any) -> None:
    for name, text in (
        ("run", "compare detectors on a benchmark"),
        ("plan", "show what 'run' would do, and what of it is in the store"),
    ):
        parser = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        what = parser.add_argument_group("what to compare")
        what.add_argument("--id", metavar="NAME", help="benchmark, ID data set, or path to images")
        what.add_argument("--benchmark", metavar="NAME", help="benchmark, or path of a TOML file")
        what.add_argument(
            "--detectors", type=_names, default=["all"], metavar="A,B", help="default: all"
        )
        what.add_argument("--ood", type=_names, metavar="A,B", help="OOD sets, or paths to images")
        what.add_argument("--classifier", metavar="NAME", help="default: the benchmark's")
        what.add_argument(
            "--seeds",
            type=_seeds,
            default=1,
            metavar="N|A,B",
            help="seeds of detectors: a number of them, or a list such as 0,3 (default: 1)",
        )
        what.add_argument(
            "--classifier-seeds",
            type=_seeds,
            default=1,
            metavar="N|A,B",
            help="seeds of classifiers; likewise (default: 1)",
        )
        what.add_argument(
            "--set",
            dest="parameters",
            action=_Parameters,
            default={},
            metavar="PLUGIN.NAME=VALUE",
            help="a plugin's parameter, such as ganad.recipe=paper; can be repeated",
        )
        how = parser.add_argument_group("how")
        how.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
        how.add_argument(
            "--precision",
            choices=["auto", "bfloat16", "float32"],
            default="auto",
            help="of networks; auto: bfloat16 where the hardware has it",
        )
        how.add_argument("--batch-size", type=int, default=500, metavar="N", help="default: 500")
        how.add_argument(
            "--no-download",
            dest="download",
            action="store_false",
            help="leave out sets that are not there",
        )
        where = parser.add_argument_group("where")
        _add_data_folder(where)
        where.add_argument(
            "--store", type=Path, metavar="DIR", help="what was computed; default: a cache folder"
        )
        if name == "plan":
            parser.add_argument("--json", action="store_true", help="machine-readable")
            continue
        how.add_argument(
            "--engine",
            choices=["auto", "inline", "ray"],
            default="auto",
            help="auto: ray where that pays off; the records are the same",
        )
        how.add_argument("--ray-address", metavar="ADDRESS", help="of a running Ray cluster")
        where.add_argument("--out", type=Path, metavar="DIR", help="the run's files")
        where.add_argument("--force", action="store_true", help="replace another run in --out")
        parser.add_argument("--dry-run", action="store_true", help="the same as 'plan'")
        parser.add_argument("--quiet", action="store_true", help="no progress, no table")
        parser.set_defaults(json=False)


def _add_data_folder(parser: Any) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="images; default: $OODBENCH_DATA, else a cache folder",
    )


def _add_list(commands: Any) -> None:
    parser = commands.add_parser("list", help="show what the installed plugins bring")
    parser.add_argument(
        "kind", nargs="?", choices=["detectors", "datasets", "classifiers", "benchmarks"]
    )
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.set_defaults(command="list_plugins")


def _add_table(commands: Any) -> None:
    parser = commands.add_parser("table", help="print the table of one or several runs again")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--format",
        choices=["terminal", "markdown", "csv", "latex", "html"],
        default="terminal",
        help="default: terminal",
    )
    parser.add_argument(
        "--metrics",
        type=_names,
        metavar="A,B",
        help="measures to show, the compared one first (default: auroc,fpr95,acc95,acc99)",
    )


def _add_data(commands: Any) -> None:
    parser = commands.add_parser("data", help="show, fetch and verify images")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("status", "say which images are there"),
        ("prepare", "fetch the images that are not there"),
        ("verify", "read all images that are there"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
        action.add_argument("names", nargs="*", metavar="NAME", help="data sets; default: all")
        _add_data_folder(action)


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="show versions, devices, Ray and data found")
    _add_data_folder(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names nothing")
    return names


def _seeds(text: str) -> int | list[int]:
    try:
        if "," in text:
            return [int(part) for part in text.split(",") if part.strip()]
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor a list") from error


class _Parameters(argparse.Action):
    """Collect ``plugin.name=value`` as ``{"plugin": {"name": "value"}}``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        target, equals, value = str(values).partition("=")
        plugin, dot, name = target.rpartition(".")
        if not (equals and dot and plugin and name):
            parser.error(f"argument {option_string}: '{values}' is not PLUGIN.NAME=VALUE")
        merged = {key: dict(found) for key, found in getattr(namespace, self.dest).items()}
        merged.setdefault(plugin, {})[name] = value
        setattr(namespace, self.dest, merged)
