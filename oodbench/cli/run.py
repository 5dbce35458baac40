"""The commands ``run`` and ``plan``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, print_ansi, say, width

if TYPE_CHECKING:
    from oodbench.results.run import Run


def add(commands: Any) -> None:
    """Add the parser of the command."""
    for name, text, execute in (
        ("run", "compare detectors on a benchmark", execute_run),
        ("plan", "show what 'run' would compute and what is already in the store", execute_plan),
    ):
        parser = commands.add_parser(name, help=text)
        parser.set_defaults(execute=execute)
        what = parser.add_argument_group("what to compare")
        arguments.add(what, "id", "benchmark", "arrays", "detectors", "ood", "classifier", "arch")
        arguments.add(what, "images", "validation_images")
        arguments.add(what, "seeds", "classifier_seeds", "parameters", "locked")
        how = parser.add_argument_group("how")
        arguments.add(how, "device", "precision", "batch_size", "download", "retrain")
        where = parser.add_argument_group("where")
        arguments.add(where, "data", "store")
        if name == "plan":
            parser.add_argument("--json", action="store_true", help="print JSON")
            continue
        arguments.add(how, "engine", "ray_address", "timeout")
        arguments.add(where, "out", "force")
        parser.add_argument("--dry-run", action="store_true", help="the same as 'plan'")
        parser.add_argument("--quiet", action="store_true", help="print neither progress nor table")
        parser.set_defaults(json=False)


def execute_run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its table, and say where its files are."""
    if options.dry_run:
        return execute_plan(options)
    from oodbench.engine.progress import Progress
    from oodbench.runs.options import RunOptions
    from oodbench.runs.runner import run

    with Progress(quiet=options.quiet) as progress:
        finished = run(**arguments.read(options, RunOptions), observer=progress)
    if not options.quiet:
        _print_run(finished)
    failed = (finished.records["status"] == "failed").any()
    agrees = options.locked is None or _agrees(finished, options.locked, quiet=options.quiet)
    return 1 if failed or not agrees else 0


def _agrees(finished: Run, locked: Path, *, quiet: bool) -> bool:
    """Print how a run differs from the one that it repeats; return whether only by noise."""
    from oodbench.report.comparison import compare, report
    from oodbench.report.terminal import terminal
    from oodbench.results.run import read_run

    found = compare(read_run(locked), finished)
    if not quiet and found.changes:
        print_ansi(terminal(report(found), width()))
    elif not quiet:
        say(f"all figures are those of {locked}")
    return all(change.verdict == "within noise" for change in found.changes)


def _print_run(finished: Run) -> None:
    from oodbench.report.merging import texts_of
    from oodbench.report.tables import render

    info = finished.info
    print_ansi(render(finished.records, format="terminal", width=width(), **texts_of([finished])))
    for title, reason in info["missing"].items():
        say(f"left out: {title}: {reason}")
    for name, reason in info.get("unsuited", {}).items():
        say(f"left out: {name}: {reason}")
    if info["shipped"]:
        say(f"pretrained weights used (--retrain trains anew): {', '.join(info['shipped'])}")
    say(
        f"{info['images_forwarded']:,} forward passes over {info['distinct_images']:,} distinct "
        f"images, {info['jobs_run']} jobs run, {info['jobs_reused']} reused from the store, "
        f"{info['wall_seconds']:.1f} s"
    )
    say(f"{finished.directory}/")


def execute_plan(options: argparse.Namespace) -> int:
    """Print the jobs that a run would do, and how many results are in the store."""
    from rich.console import Console
    from rich.table import Table

    from oodbench.registry.lookup import load_registry
    from oodbench.runs.options import RunOptions
    from oodbench.runs.repeated import repeat
    from oodbench.runs.runner import plan_options
    from oodbench.store.artifacts import Store
    from oodbench.store.paths import store_folder

    asked = RunOptions(**arguments.read(options, RunOptions) | {"download": False})
    if asked.locked is not None:
        asked = repeat(asked, load_registry())
    planned = plan_options(asked, Store(store_folder(options.store)))
    jobs = [
        {
            "job": job.title,
            "stage": job.ref.stage,
            "key": job.ref.key,
            "cpus": job.bounded(planned.resolved.request.cpus).resources.cpus,
            "gpus": job.resources.gpus,
        }
        for job in planned.pending
    ]
    resolved = [each for each, _ in planned.folds.values()]
    described = (each.request.describe_images() for each in resolved)
    taken = {title: text for each in described for title, text in each.items()}
    missing = {title: reason for each in resolved for title, reason in each.missing.items()}
    if options.json:
        content = {"to_run": jobs, "in_store": len(planned.found), "images": taken}
        print(json.dumps(content | {"missing": missing}, indent=2))
        return 0
    table = Table("to run", "CPUs", "GPUs", "key", box=None, header_style="bold")
    for job in jobs:
        table.add_row(
            as_markup(str(job["job"])), str(job["cpus"]), f"{job['gpus']:g}", str(job["key"])[:12]
        )
    Console().print(table)
    for title, text in taken.items():
        say(f"{title}: {text}")
    for title, reason in missing.items():
        say(f"left out: {title}: {reason}")
    say(f"{len(jobs)} jobs to run, {len(planned.found)} results in the store")
    return 0
