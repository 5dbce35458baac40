"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from oodbench.request.options import Options, split_names
from oodbench.runs.options import RunOptions


def add(parser: Any, *chosen: str) -> None:
    """Add options of a run by their names, as `RunOptions` defines them."""
    for name in chosen:
        add_option(parser, name)


def add_option(parser: Any, name: str, **changes: Any) -> None:
    """Add an option of a run.

    Args:
        parser: a parser, or a group of one.
        name: of the option.
        changes: what differs here, as argparse calls it.
    """
    option = _OPTIONS[name]
    about = option.metadata
    text = about["text"].partition("; in Python")[0]
    given: dict[str, Any] = {"help": text, "dest": name}
    flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
    if option.default is True:
        flag = f"--no-{name}"
        given |= {"action": "store_false", "help": f"do not {text.partition(';')[0]}"}
    elif option.default is False:
        given |= {"action": "store_true"}
    elif name == "parameters":
        given |= {"action": Parameters, "default": {}, "metavar": about["metavar"]}
    else:
        given |= {"default": option.default, "metavar": about["metavar"]}
        given |= {"choices": about["choices"], "type": _READERS.get(name, str)}
    parser.add_argument(flag, **given | changes)


def read(options: argparse.Namespace, kind: type[Options] = Options) -> dict[str, Any]:
    """Return the options of a run that were parsed, as arguments of a kind of them."""
    return {
        each.name: getattr(options, each.name)
        for each in fields(kind)
        if hasattr(options, each.name)
    }


def add_fold(parser: Any) -> None:
    """Add ``--fold``."""
    text = "one fold of a run of a benchmark with folds, which has several"
    parser.add_argument("--fold", metavar="NAME", help=text)


def add_quiet(parser: Any) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="print no progress")


def names(text: str) -> list[str]:
    """Read ``a,b``."""
    found = split_names(text)
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


_OPTIONS = {each.name: each for each in fields(RunOptions)}
_FLAGS = {"parameters": "set"}
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("detectors", "ood"), names),
    **dict.fromkeys(("seeds", "classifier_seeds"), seeds),
    **dict.fromkeys(("images", "validation_images", "batch_size"), int),
    **dict.fromkeys(("arrays", "data", "locked", "out"), Path),
    "timeout": float,
}
