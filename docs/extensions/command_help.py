"""A directive that shows the ``--help`` of every command, read from the parser itself."""

from __future__ import annotations

import argparse
import os
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from oodbench.cli import build_parser

WIDTH = "80"


class CommandHelp(SphinxDirective):
    """A section for each command, with its help as printed in a terminal of 80 columns."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        os.environ["COLUMNS"] = WIDTH
        return [_section(name, parser) for name, parser in _commands(build_parser())]


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """Return the parsers of all commands, and of the actions of those that have some, by name."""
    found: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found += [(command.prog, command), *_commands(command)]
    return found


def _section(name: str, parser: argparse.ArgumentParser) -> nodes.section:
    help_text = parser.format_help()
    section = nodes.section(ids=[nodes.make_id(name)], names=[name])
    section += nodes.title(text=name)
    section += nodes.literal_block(help_text, help_text, language="none")
    return section


def setup(app: Any) -> dict[str, bool]:
    """Register the directive ``command-help``."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
