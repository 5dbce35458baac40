"""The command ``list``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oodbench.cli.output import as_markup
from oodbench.contracts import Shaping

if TYPE_CHECKING:
    from oodbench.registry.lookup import Entry, Registry


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("list", help="list installed plugins")
    parser.add_argument(
        "kind", nargs="?", choices=["detectors", "datasets", "classifiers", "figures", "benchmarks"]
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """List the installed plugins, and those that failed to load."""
    from rich.console import Console
    from rich.table import Table

    from oodbench.registry.lookup import load_registry

    loaded = load_registry()
    every = ["benchmarks", "classifiers", "datasets", "detectors", "figures"]
    kinds = [options.kind] if options.kind else every
    found = {kind: [_describe(entry) for entry in _entries(loaded, kind)] for kind in kinds}
    failures = [
        {
            "plugin": failure.plugin.name,
            "distribution": failure.plugin.distribution,
            "module": failure.plugin.module,
            "reason": failure.reason,
        }
        for failure in loaded.failures
    ]
    absent = loaded.absent if "detectors" in kinds else {}
    if options.json:
        content = found | {"failures": failures, "absent": absent}
        print(json.dumps(content, indent=2))
        return 0
    console = Console()
    for kind, rows in found.items():
        table = Table(kind, "plugin", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for row in rows:
            about = [row["summary"], _source(row), _needs(row)]
            text = "\n".join(part for part in about if part)
            table.add_row(as_markup(row["name"]), as_markup(row["plugin"]), as_markup(text))
        console.print(table)
        console.print()
    if "detectors" in kinds:
        shapings = loaded.detectors.shapings()
        console.print(f"[bold]compositions[/]: {_compositions(shapings)}")
    for name, reason in absent.items():
        console.print(f"[yellow]unavailable[/]: {as_markup(name)}: {as_markup(reason)}")
    for failure in failures:
        console.print(
            f"[red]failed to load[/]: {as_markup(str(failure['plugin']))} "
            f"({as_markup(str(failure['distribution']))}): {as_markup(str(failure['reason']))}"
        )
    return 0


def _compositions(shapings: Sequence[str]) -> str:
    """Return which names may be joined."""
    if not shapings:
        return "none, since no detector changes features"
    return (
        f"{', '.join(shapings)} and '+' in front of a detector that scores features or logits, as "
        f"in {shapings[0]}+knn"
    )


def _source(row: dict[str, Any]) -> str:
    """Return the paper of a plugin, and of a figure its numbers in it."""
    numbers = ", ".join(str(number) for number in row.get("numbers", ()))
    return (f"Figures {numbers} of " if numbers else "") + (row.get("paper") or "")


def _needs(row: dict[str, Any]) -> str:
    return f"needs {', '.join(row['needs'])}" if row.get("needs") else ""


def _entries(loaded: Registry, kind: str) -> list[Entry[Any]]:
    return list(getattr(loaded, kind).values())


def _describe(entry: Entry[Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": entry.name, "plugin": entry.plugin.distribution}
    if entry.kind == "benchmark":
        benchmark = entry.target
        return row | {
            "summary": benchmark.summary,
            "id": benchmark.id,
            "ood": list(benchmark.ood),
            "groups": {name: list(members) for name, members in benchmark.groups.items()},
            "classifier": benchmark.classifier,
            "folds": {key: list(values) for key, values in benchmark.folds.items()},
        }
    info = entry.target.info
    row |= {
        "summary": info.summary,
        "paper": str(info.paper) if info.paper else None,
        "url": info.paper.url if info.paper else None,
        "deviations": list(info.deviations),
        "parameters": {name: repr(value) for name, value in entry.defaults().items()},
    }
    if entry.kind == "detector":
        row |= {
            "family": entry.target.family,
            "shaping": issubclass(entry.target, Shaping),
            "needs": sorted(entry.target.needs),
            "stochastic": entry.target.stochastic,
        }
    if entry.kind == "figure":
        row |= {"needs": [entry.target.needs], "numbers": list(entry.target.numbers)}
    return row
