"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_data_folder(parser: Any) -> None:
    """Add ``--data``, the folder of images."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="images; default: $OODBENCH_DATA, else a cache folder",
    )


def add_classifier(parser: Any) -> None:
    """Add ``--classifier``, and ``--arch`` for one that is a file."""
    parser.add_argument(
        "--classifier", metavar="NAME", help="name, or a file of weights; default: benchmark's"
    )
    parser.add_argument(
        "--arch", metavar="NAME", help="classifier whose network the weights are of"
    )


def add_parameters(parser: Any) -> None:
    """Add ``--set``, which can be repeated."""
    parser.add_argument(
        "--set",
        dest="parameters",
        action=Parameters,
        default={},
        metavar="PLUGIN.NAME=VALUE",
        help="a plugin's parameter, such as ganad.recipe=paper; can be repeated",
    )


def add_no_download(parser: Any) -> None:
    """Add ``--no-download``."""
    parser.add_argument(
        "--no-download",
        dest="download",
        action="store_false",
        help="leave out sets that are not there",
    )


def add_quiet(parser: Any) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress")


def names(text: str) -> list[str]:
    """Read ``a,b``."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("names nothing")
    return found


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def seeds(text: str) -> int | list[int]:
    """Read a number of seeds, or a list of seeds."""
    try:
        if "," in text:
            return [int(part) for part in text.split(",") if part.strip()]
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor a list") from error


class Parameters(argparse.Action):
    """Collect ``plugin.name=value`` as ``{"plugin": {"name": "value"}}``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add one parameter."""
        target, equals, value = str(values).partition("=")
        plugin, dot, name = target.rpartition(".")
        if not (equals and dot and plugin and name):
            parser.error(f"argument {option_string}: '{values}' is not PLUGIN.NAME=VALUE")
        merged = {key: dict(found) for key, found in getattr(namespace, self.dest).items()}
        merged.setdefault(plugin, {})[name] = value
        setattr(namespace, self.dest, merged)
