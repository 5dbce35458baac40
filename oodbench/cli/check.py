"""The command ``check``."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup

if TYPE_CHECKING:
    from rich.console import Console

    from oodbench.registry.lookup import Entry, Registry
    from oodbench.testing.outcomes import Outcome

SIGNS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[yellow]–[/]"}


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "check an installed plugin against the contract"
    parser = commands.add_parser("check", help=text)
    parser.add_argument("name", help="of a detector, data set or classifier")
    arguments.add(parser, "parameters")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Check a plugin, print each outcome, and return 1 if one failed."""
    from rich.console import Console

    from oodbench.errors import UnknownName
    from oodbench.registry.lookup import load_registry
    from oodbench.request.classifiers import make_classifier

    loaded = load_registry()
    entry = _find(options.name, loaded)
    for name in options.parameters:
        if name != entry.name:
            raise UnknownName("plugin to check", name, [entry.name])
    if entry.kind == "classifier":
        plugin = make_classifier(options.name, loaded, options.parameters)
    else:
        plugin = entry.create(**options.parameters.get(entry.name, {}))
    from oodbench.testing import outcomes

    console = Console(soft_wrap=True, highlight=False)
    found = []
    for outcome in outcomes(plugin):
        found.append(outcome)
        if outcome.status == "passed" and not options.json:
            console.print(f"{SIGNS['passed']} {as_markup(outcome.purpose)}")
    skipped = [outcome for outcome in found if outcome.status == "skipped"]
    failed = [outcome for outcome in found if outcome.status == "failed"]
    if options.json:
        checks = [vars(outcome) for outcome in found]
        print(json.dumps({"plugin": entry.name, "checks": checks}, indent=2))
    else:
        _print_others(skipped, failed, console)
        passed = len(found) - len(failed) - len(skipped)
        console.print(
            f"\n{entry.kind} {entry.name} ({as_markup(entry.plugin.distribution)}): "
            f"{passed} checks passed, {len(failed)} failed, {len(skipped)} skipped"
        )
    return 1 if failed else 0


def _print_others(skipped: list[Outcome], failed: list[Outcome], console: Console) -> None:
    """Print one line for each reason to skip checks, then, last, the checks that failed."""
    for reason, count in Counter(outcome.reason for outcome in skipped).items():
        checks = "1 check" if count == 1 else f"{count} checks"
        console.print(f"{SIGNS['skipped']} {checks} skipped: {as_markup(reason)}")
    for outcome in failed:
        console.print(f"{SIGNS['failed']} {as_markup(outcome.purpose)}")
        console.print(f"  {as_markup(outcome.reason)}")


def _find(name: str, loaded: Registry) -> Entry[Any]:
    """Return the plugin of a name, whatever its kind.

    Raises:
        UserError: if there is none, or its plugin failed to load.
    """
    from oodbench.errors import UnknownName, UserError

    kinds: list[Any] = [loaded.detectors, loaded.datasets, loaded.classifiers]
    for names in kinds:
        if name in names:
            entry: Entry[Any] = names[name]
            return entry
    reason = loaded.why_missing(name)
    if reason:
        raise UserError(f"'{name}' cannot be checked: {reason}")
    known = [known for names in kinds for known in names]
    raise UnknownName("detector, data set or classifier", name, known)
