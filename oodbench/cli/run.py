"""The commands ``run`` and ``plan``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, complain, print_ansi, say, say_left_out, width

if TYPE_CHECKING:
    from rich.table import Table

    from oodbench.results.run import Run
    from oodbench.runs.estimate import Estimate

COSTS = 15
"""Lines of the table of an estimate at most."""


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
            parser.add_argument(
                "--estimate",
                action="store_true",
                help="also say what it will take, from a short calibration",
            )
            continue
        arguments.add(how, "engine", "ray_address", "timeout")
        arguments.add(where, "out", "force")
        parser.add_argument("--dry-run", action="store_true", help="the same as 'plan'")
        parser.add_argument("--quiet", action="store_true", help="print neither progress nor table")
        parser.set_defaults(json=False, estimate=False)


def execute_run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its table, and say where its files are."""
    if options.dry_run:
        return execute_plan(options)
    from oodbench.engine.progress import Progress
    from oodbench.runs.options import RunOptions
    from oodbench.runs.runner import run

    with Progress(quiet=options.quiet) as progress:
        finished = run(**arguments.read(options, RunOptions), observer=progress)
    if options.quiet:
        from oodbench.report.footnotes import failures

        for failure in failures(finished.records):
            complain(f"Failed: {failure}")
    else:
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
    agrees = all(change.verdict == "within noise" for change in found.changes)
    if quiet and not agrees:
        complain(f"figures are not those of {locked}")
    elif not quiet and found.changes:
        print_ansi(terminal(report(found), width()))
    elif not quiet:
        say(f"all figures are those of {locked}")
    return agrees


def _print_run(finished: Run) -> None:
    from oodbench.report.merging import texts_of
    from oodbench.report.tables import render

    info = finished.info
    print_ansi(render(finished.records, format="terminal", width=width(), **texts_of([finished])))
    say_left_out(info["missing"], info["unsuited"])
    if info["shipped"]:
        say(f"pretrained weights used (--retrain trains anew): {', '.join(info['shipped'])}")
    say(
        f"{info['images_forwarded']:,} forward passes over {info['distinct_images']:,} distinct "
        f"images, {info['jobs_run']} jobs run, {info['jobs_reused']} reused from the store, "
        f"{info['wall_seconds']:.1f} s"
    )
    say(f"{finished.directory}/")


def execute_plan(options: argparse.Namespace) -> int:
    """Print the jobs that a run would do; return 1 if it would end with failed detectors."""
    from rich.console import Console

    from oodbench.registry.lookup import load_registry
    from oodbench.runs.options import RunOptions
    from oodbench.runs.repeated import repeat
    from oodbench.runs.runner import plan_options
    from oodbench.store.opening import open_store

    asked = RunOptions(**arguments.read(options, RunOptions) | {"download": False})
    if asked.locked is not None:
        asked = repeat(asked, load_registry())
    store = open_store(options.store)
    began = time.perf_counter()
    planned = plan_options(asked, store)
    planning = time.perf_counter() - began
    cpus = planned.resolved.request.cpus
    jobs = [
        {
            "job": job.title,
            "stage": job.ref.stage,
            "key": job.ref.key,
            "cpus": job.bounded(cpus).resources.cpus,
            "gpus": job.resources.gpus,
        }
        for job in planned.pending
    ]
    found = None
    if options.estimate:
        from oodbench.runs.estimate import estimate

        found = estimate(planned, store, planning)
    left_out = planned.left_out()
    described = (each.request.describe_images() for each, _ in planned.folds.values())
    images = {title: text for each in described for title, text in each.items()}
    if options.json:
        content = {"to_run": jobs, "in_store": len(planned.found), "images": images, **left_out}
        print(json.dumps(content | ({"estimate": asdict(found)} if found else {}), indent=2))
    else:
        if jobs:
            Console().print(_table_of_costs(found) if found else _table_of_jobs(jobs))
        for title, text in images.items():
            say(f"{title}: {text}")
        say_left_out(left_out["missing"], left_out["unsuited"])
        for name, reason in left_out["broken"].items():
            say(f"will fail: {name}: {reason}")
        say(f"{len(jobs)} jobs to run, {len(planned.found)} results in the store")
        if found:
            _say_estimate(found)
    return 1 if left_out["broken"] else 0


def _table_of_jobs(jobs: Sequence[Mapping[str, Any]]) -> Table:
    """Return the jobs of a plan."""
    from rich.table import Table

    table = Table("to run", "CPUs", "GPUs", "key", box=None, header_style="bold")
    for job in jobs:
        title, cpus, gpus = as_markup(job["job"]), str(job["cpus"]), f"{job['gpus']:g}"
        table.add_row(title, cpus, gpus, job["key"][:12])
    return table


def _table_of_costs(found: Estimate) -> Table:
    """Return the most expensive kinds of jobs, and all others together."""
    from rich.filesize import decimal
    from rich.table import Table

    table = Table("to run", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("jobs", "time", "share", "store"):
        table.add_column(name, justify="right", no_wrap=True)
    whole = sum(cost.seconds for cost in found.costs)
    for cost in found.shortened(COSTS):
        share = f"{cost.seconds / whole:.0%}" if whole else ""
        size = decimal(cost.bytes)
        table.add_row(as_markup(cost.title), f"{cost.jobs:,}", in_words(cost.seconds), share, size)
    return table


def _say_estimate(found: Estimate) -> None:
    """Print what a run will take in all."""
    from rich.filesize import decimal

    say(
        f"{found.images:,} images, {found.forwarded:,} forward passes for all detectors together, "
        f"{found.forwarded_again:,} by detectors and probes themselves"
    )
    say(f"the store will grow by {decimal(found.bytes)}")
    for title, reason in found.left_out.items():
        say(f"not in the estimate: {title}: {reason}")
    at_a_time = f", up to {found.processes} jobs at a time" if found.processes > 1 else ""
    processor = sum(cost.processor for cost in found.costs)
    say(
        f"about {in_words(found.seconds)} on this machine as it is now{at_a_time}, "
        f"{in_words(processor)} of the processor (calibrated in {in_words(found.calibration)})"
    )


def in_words(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 100 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:,.1f} h"
