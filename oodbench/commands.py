"""Carry out the commands of the command line; each takes its options and returns an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from oodbench import registry
from oodbench.contracts import Dataset
from oodbench.errors import DataUnavailable, UserError
from oodbench.registry import Entry, Registry

if TYPE_CHECKING:
    from oodbench.request import Options
    from oodbench.results import Run


def run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its table, and say where its files are."""
    if options.dry_run:
        return plan(options)
    from oodbench.engine.progress import Progress
    from oodbench.paths import store_folder
    from oodbench.runner import run_options

    with Progress(quiet=options.quiet) as progress:
        finished = run_options(
            _options(options),
            store=store_folder(options.store),
            out=options.out,
            engine=options.engine,
            ray_address=options.ray_address,
            force=options.force,
            observer=progress,
        )
    if not options.quiet:
        _print_run(finished)
    return 1 if (finished.records["status"] == "failed").any() else 0


def _print_run(finished: Run) -> None:
    from oodbench.report.tables import render

    info = finished.info
    texts = {"notes": info["notes"], "deviations": info["deviations"]}
    _print_ansi(render(finished.records, format="terminal", **texts))
    for title, reason in info["missing"].items():
        print(f"left out: {title}: {reason}")
    print(
        f"{info['images_forwarded']:,} of {info['distinct_images']:,} images passed through the "
        f"classifier, {info['jobs_run']} jobs run, {info['jobs_reused']} taken from the store, "
        f"{info['wall_seconds']:.1f} s\n{finished.directory}/"
    )


def _print_ansi(text: str) -> None:
    """Print text with ANSI codes, which are left out where the output is no terminal."""
    Console(soft_wrap=True, highlight=False).print(Text.from_ansi(text))


def plan(options: argparse.Namespace) -> int:
    """Show the jobs of a run, and which of them are in the store."""
    from oodbench.paths import store_folder
    from oodbench.runner import prepare
    from oodbench.store import Store

    prepared = prepare(_options(options), Store(store_folder(options.store)))
    jobs = [
        {
            "job": job.title,
            "stage": job.ref.stage,
            "key": job.ref.key,
            "cpus": job.resources.cpus,
            "gpus": job.resources.gpus,
        }
        for job in prepared.pending
    ]
    if options.json:
        content = {"to_run": jobs, "in_store": len(prepared.found)}
        print(json.dumps(content | {"missing": prepared.resolved.missing}, indent=2))
        return 0
    table = Table("to run", "CPUs", "GPUs", "key", box=None, header_style="bold")
    for job in jobs:
        table.add_row(
            escape(str(job["job"])), str(job["cpus"]), f"{job['gpus']:g}", str(job["key"])[:12]
        )
    Console().print(table)
    for title, reason in prepared.resolved.missing.items():
        print(f"left out: {title}: {reason}")
    print(f"{len(jobs)} jobs to run, {len(prepared.found)} results in the store")
    return 0


def _options(options: argparse.Namespace) -> Options:
    from oodbench.paths import data_folder
    from oodbench.request import Options

    return Options(
        id=options.id,
        benchmark=options.benchmark,
        detectors=options.detectors,
        ood=options.ood,
        classifier=options.classifier,
        seeds=options.seeds,
        classifier_seeds=options.classifier_seeds,
        parameters=options.parameters,
        data=data_folder(options.data),
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        download=options.download and options.command == "run" and not options.dry_run,
    )


def list_plugins(options: argparse.Namespace) -> int:
    """Show what the installed plugins bring, and which failed to load."""
    loaded = registry.load()
    kinds = (
        [options.kind] if options.kind else ["benchmarks", "classifiers", "datasets", "detectors"]
    )
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
    if options.json:
        print(json.dumps(found | {"failures": failures}, indent=2, ensure_ascii=False))
        return 0
    console = Console()
    for kind, rows in found.items():
        table = Table(kind, "plugin", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for row in rows:
            about = [row["summary"], row.get("paper") or "", _needs(row)]
            text = "\n".join(part for part in about if part)
            table.add_row(escape(row["name"]), escape(row["plugin"]), escape(text))
        console.print(table)
        console.print()
    for failure in failures:
        console.print(
            f"[red]failed to load[/]: {escape(str(failure['plugin']))} "
            f"({escape(str(failure['distribution']))}): {escape(str(failure['reason']))}"
        )
    return 0


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
            "classifier": benchmark.classifier,
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
        row |= {"needs": sorted(entry.target.needs), "stochastic": entry.target.stochastic}
    return row


def table(options: argparse.Namespace) -> int:
    """Print the table of one or several runs."""
    from oodbench.report.tables import render
    from oodbench.results import combine, read_run

    runs = [read_run(path) for path in options.runs]
    notes: dict[str, str] = {}
    deviations: dict[str, str] = {}
    for each in runs:
        notes |= each.info["notes"]
        deviations |= each.info["deviations"]
    text = render(
        combine(runs),
        format=options.format,
        notes=notes,
        deviations=deviations,
        metrics=options.metrics,
    )
    if options.format == "terminal":
        _print_ansi(text)
    else:
        print(text, end="")
    return 0


def data(options: argparse.Namespace) -> int:
    """Show, fetch or verify the images of data sets."""
    from oodbench.paths import data_folder

    root = data_folder(options.data)
    loaded = registry.load()
    names = options.names or list(loaded.datasets)
    table = Table("data set", "split", "state", box=None, header_style="bold", padding=(0, 2, 0, 0))
    failed = False
    for name in names:
        dataset = loaded.datasets[name].create()
        for split in dataset.splits:
            state, sound = _state(dataset, split, root, options.action)
            failed |= not sound and options.action != "status"
            table.add_row(escape(name), escape(split), escape(state))
    Console().print(f"{root}", highlight=False)
    Console().print(table)
    return 1 if failed else 0


def _state(dataset: Dataset, split: str, root: Path, action: str) -> tuple[str, bool]:
    """Return what there is to say about a split, and whether it is sound."""
    from oodbench.sources import locate

    try:
        source = locate(dataset, split, root, download=action == "prepare")
        if action != "verify":
            where = source.pack.name if source.pack else "there"
            return where, True
        images = source.load()
    except DataUnavailable as error:
        return ("not there" if action == "status" else str(error)), False
    except UserError as error:
        return str(error), False
    size = "x".join(str(length) for length in images.images.shape[1:])
    note = f" ({images.note})" if images.note else ""
    return f"{len(images):,} images {size}, sound{note}", True


def doctor(options: argparse.Namespace) -> int:
    """Show versions, devices, Ray and the data that is found."""
    from oodbench import hardware
    from oodbench.collect import versions
    from oodbench.paths import data_folder, store_folder
    from oodbench.sources import locate

    root = data_folder(options.data)
    loaded = registry.load()
    there = []
    for name in loaded.datasets:
        dataset = loaded.datasets[name].create()
        for split in dataset.splits:
            try:
                locate(dataset, split, root, download=False)
                there.append(f"{name}-{split}")
            except UserError:
                continue
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
        "store": str(store_folder(None)),
        "failed_plugins": [f"{each.plugin.name}: {each.reason}" for each in loaded.failures],
    }
    if options.json:
        print(json.dumps(content, indent=2))
        return 0
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in content.items():
        table.add_row(name.replace("_", " "), escape(_as_text(value)))
    Console().print(table)
    return 0


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} {_as_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
