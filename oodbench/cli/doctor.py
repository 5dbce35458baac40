"""The command ``doctor``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("doctor", help="show versions, devices, Ray and available data")
    arguments.add(parser, "data")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print versions, devices, Ray and available data."""
    from rich.console import Console
    from rich.table import Table

    from oodbench import hardware
    from oodbench.errors import DataUnavailable, OodbenchError, describe
    from oodbench.images.sources import locate
    from oodbench.registry.isolation import isolated
    from oodbench.registry.lookup import load_registry
    from oodbench.runs.versions import versions
    from oodbench.store.paths import data_folder, store_folder

    root = data_folder(options.data)
    loaded = load_registry()
    there, failed = [], []
    for name in loaded.datasets:
        try:
            with isolated():
                dataset = loaded.datasets[name].create()
                for split in dataset.splits:
                    with suppress(DataUnavailable):
                        locate(dataset, split, root, download=False)
                        there.append(f"{name}-{split}")
        except Exception as error:  # a third-party data set may raise anything; packs are damaged
            reason = str(error) if isinstance(error, OodbenchError) else describe(error)
            failed.append(f"{name}: {reason}")
    gpus = hardware.count_gpus()
    content: dict[str, Any] = {
        "python": sys.version.split()[0],
        "versions": versions(),
        "hardware": hardware.describe(),
        "precision": hardware.resolve_precision("auto", gpus),
        "device": "cuda" if gpus else "cpu",
        "ray_address": os.environ.get(
            "RAY_ADDRESS", "none; started on this machine where it pays off"
        ),
        "data": str(root),
        "data_found": there,
        "data_failed": failed,
        "store": str(store_folder(None)),
        "failed_plugins": [f"{each.plugin.name}: {each.reason}" for each in loaded.failures],
    }
    if options.json:
        print(json.dumps(content, indent=2))
        return 0
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in content.items():
        table.add_row(name.replace("_", " "), as_markup(_as_text(value)))
    Console().print(table)
    return 0


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} {_as_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
