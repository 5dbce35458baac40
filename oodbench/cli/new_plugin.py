"""The command ``new-plugin``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from oodbench.cli.output import print_document


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "write a package with a detector of your own, to change"
    parser = commands.add_parser("new-plugin", help=text, description=f"{text.capitalize()}.")
    parser.add_argument("name", help="of the detector, such as my-detector")
    parser.add_argument(
        "--to", type=Path, default=Path(), metavar="DIR", help="folder to write to; default: this"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write the package and say what to do next."""
    from oodbench import registry
    from oodbench.scaffold import write_plugin

    taken = frozenset(registry.load().detectors)
    folder = write_plugin(options.name, options.to, taken)
    module = options.name.replace("-", "_")
    print_document(
        f"{folder}/ holds a detector that works: the distance to the nearest class mean.\n"
        f"Make it yours in {folder / module}.py; then\n"
        "\n"
        f"    cd {folder}\n"
        "    pip install -e '.[test]'\n"
        "    pytest tests\n"
        f"    oodbench check {options.name}\n"
        f"    oodbench run --id digits --detectors {options.name},energy\n"
    )
    return 0
