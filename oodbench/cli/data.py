"""The command ``data``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup

if TYPE_CHECKING:
    from oodbench.contracts import Dataset


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("data", help="show, fetch and verify images")
    parser.set_defaults(execute=execute)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("status", "show which images are available"),
        ("prepare", "fetch missing images"),
        ("verify", "read and check all available images"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument(
            "names", nargs="*", metavar="NAME", help="data sets, or paths; default: all"
        )
        arguments.add(action, "data")


def execute(options: argparse.Namespace) -> int:
    """Show, fetch or verify the images of data sets."""
    from rich.console import Console
    from rich.table import Table

    from oodbench.errors import PluginError
    from oodbench.registry.lookup import load_registry
    from oodbench.request.datasets import make_dataset
    from oodbench.store.paths import data_folder

    root = data_folder(options.data)
    loaded = load_registry()
    names = options.names or list(loaded.datasets)
    table = Table("data set", "split", "state", box=None, header_style="bold", padding=(0, 2, 0, 0))
    failed = False
    for name in names:
        try:
            dataset = make_dataset(name, loaded)
        except PluginError as error:
            failed |= options.action != "status"
            table.add_row(as_markup(name), "", as_markup(str(error)))
            continue
        for split in dataset.splits:
            state, sound = _state(dataset, split, root, options.action)
            failed |= not sound and options.action != "status"
            table.add_row(as_markup(name), as_markup(split), as_markup(state))
    Console().print(f"{root}", highlight=False)
    Console().print(table)
    return 1 if failed else 0


def _state(dataset: Dataset, split: str, root: Path, action: str) -> tuple[str, bool]:
    """Return the state of a split as text, and whether all is well.

    That images are not there is well unless they were to be fetched.
    """
    import numpy as np

    from oodbench.errors import DataUnavailable, OodbenchError, describe
    from oodbench.images.geometry import CHUNK
    from oodbench.images.sources import locate
    from oodbench.registry.isolation import isolated

    try:
        source = locate(dataset, split, root, download=action == "prepare")
        if action != "verify":
            return source.describe() or (source.pack.name if source.pack else "there"), True
        with isolated():
            images = source.load()
            for start in range(0, len(images), CHUNK):  # what is decoded when it is asked for
                np.asarray(images.images[start : start + CHUNK])
    except DataUnavailable as error:
        return (str(error), False) if action == "prepare" else ("not there", True)
    except OodbenchError as error:
        return str(error), False
    except Exception as error:  # a third-party data set may raise anything when it is read
        return describe(error), False
    size = "x".join(str(length) for length in images.images.shape[1:])
    note = f" ({images.note})" if images.note else ""
    return f"{len(images):,} images {size}, sound{note}", True
