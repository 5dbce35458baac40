"""The command ``new-plugin``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli.output import print_document


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "create a plugin package with a working detector to adapt"
    parser = commands.add_parser("new-plugin", help=text)
    parser.add_argument("name", help="name of the detector, such as my-detector")
    parser.add_argument(
        "--to",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="parent folder (default: the current folder)",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the package and say what to do next."""
    from oodbench.registry.lookup import load_registry
    from oodbench.registry.scaffold import write_plugin

    taken = frozenset(load_registry().detectors)
    folder = write_plugin(options.name, options.to, taken)
    module = options.name.replace("-", "_")
    print_document(
        f"{folder}/ holds a working detector: the distance to the nearest class mean.\n"
        f"Adapt it in {folder / module}.py, then run\n"
        "\n"
        f"    cd {folder}\n"
        "    pip install -e '.[test]'\n"
        "    pytest tests\n"
        f"    oodbench check {options.name}\n"
        f"    oodbench run --id digits --detectors {options.name},energy\n"
    )
    return 0
