"""The command ``audit``."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, say_left_out

if TYPE_CHECKING:
    from oodbench.runs.audit import Audit


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "show which OOD sets a trivial statistic separates and which repeat ID images"
    parser = commands.add_parser("audit", help=text)
    arguments.add(parser, "id", "benchmark", "ood", "parameters", "download", "data")
    arguments.add_quiet(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Audit a benchmark and print what was found in one table."""
    from oodbench.engine.progress import Progress
    from oodbench.request.options import Options
    from oodbench.runs.audit import audit

    asked = Options(**arguments.read(options))
    with Progress(quiet=options.quiet) as progress:
        found = audit(asked, progress)
    if options.json:
        print(json.dumps(_content(found), indent=2))
    else:
        _print(found)
    return 1 if found.broken else 0


def _content(found: Audit) -> dict[str, Any]:
    from oodbench.images.duplicates import DEFINITION
    from oodbench.runs.audit import SEPARATES

    sets = {
        finding.dataset: {
            "images": finding.images,
            "auroc": {
                name: None if math.isnan(auroc) else auroc for name, auroc in finding.auroc.items()
            },
            "separated_by": finding.separated_by,
            "exact_duplicates": finding.exact.tolist(),
            "near_duplicates": finding.near.tolist(),
        }
        for finding in found.findings
    }
    return {
        "separates_from_auroc": SEPARATES,
        "duplicates": DEFINITION,
        "ood_sets": sets,
        "missing": found.missing,
        "broken": found.broken,
    }


def _print(found: Audit) -> None:
    from rich.console import Console
    from rich.table import Table

    from oodbench.images.duplicates import DEFINITION
    from oodbench.runs.audit import SEPARATES

    findings = found.findings
    names = list(findings[0].auroc)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    # What does not fit is taken from the names, which wrap: figures are never cut.
    table.add_column("OOD set", overflow="fold")
    for name in (*names, "exact", "near"):
        table.add_column(as_markup(name.replace("-", "\n")), justify="right", no_wrap=True)
    for finding in findings:
        table.add_row(
            as_markup(finding.dataset),
            *(_percent(finding.auroc[name], SEPARATES) for name in names),
            _count(len(finding.exact)),
            _count(len(finding.near)),
        )
    console = Console()
    console.print(table)
    separated = sum(bool(finding.separated_by) for finding in findings)
    console.print(
        f"\nAUROC in % of trivial statistics of the image. {separated} of {len(findings)} OOD sets "
        f"are separated by one of them (* AUROC of at least {SEPARATES:.0%}): there, a detector "
        "that does well may have used nothing else.\n"
        f"Duplicates of ID training images, {as_markup(DEFINITION)}.",
        highlight=False,
    )
    say_left_out(found.missing, found.broken)


def _percent(auroc: float, separates: float) -> str:
    if math.isnan(auroc):
        return "failed"
    text = f"{100 * auroc:.2f}"
    return f"[bold red]{text}*[/]" if auroc >= separates else f"{text} "


def _count(number: int) -> str:
    return f"[bold red]{number}[/]" if number else "0"
