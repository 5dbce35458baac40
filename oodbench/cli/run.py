"""The commands ``run`` and ``plan``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, print_ansi, say, width

if TYPE_CHECKING:
    from oodbench.request import Options
    from oodbench.results import Run


def add(commands: Any) -> None:
    """Add the parser of the command."""
    for name, text, execute in (
        ("run", "compare detectors on a benchmark", execute_run),
        ("plan", "show what 'run' would do, and what of it is in the store", execute_plan),
    ):
        parser = commands.add_parser(name, help=text)
        parser.set_defaults(execute=execute)
        what = parser.add_argument_group("what to compare")
        what.add_argument("--id", metavar="NAME", help="benchmark, ID data set, or path to images")
        what.add_argument("--benchmark", metavar="NAME", help="benchmark, or path of a TOML file")
        what.add_argument(
            "--detectors",
            type=arguments.names,
            default=["all"],
            metavar="A,B",
            help="names, or all, all-posthoc, ...; default: all",
        )
        what.add_argument(
            "--ood", type=arguments.names, metavar="A,B", help="OOD sets, or paths to images"
        )
        arguments.add_classifier(what)
        what.add_argument(
            "--images",
            type=int,
            metavar="N",
            help="images of each test set at most; default: the benchmark's (10000 as a rule)",
        )
        what.add_argument(
            "--seeds",
            type=arguments.seeds,
            default=1,
            metavar="N|A,B",
            help="seeds of detectors: a number of them, or a list such as 0,3 (default: 1)",
        )
        what.add_argument(
            "--classifier-seeds",
            type=arguments.seeds,
            default=1,
            metavar="N|A,B",
            help="seeds of classifiers; likewise (default: 1)",
        )
        arguments.add_parameters(what)
        how = parser.add_argument_group("how")
        how.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
        how.add_argument(
            "--precision",
            choices=["auto", "bfloat16", "float32"],
            default="auto",
            help="of networks; auto: bfloat16 where the hardware has it",
        )
        how.add_argument(
            "--batch-size", type=int, metavar="N", help="default: 100 on a CPU, 500 on a GPU"
        )
        arguments.add_no_download(how)
        how.add_argument(
            "--retrain", action="store_true", help="train even what there are shipped weights of"
        )
        where = parser.add_argument_group("where")
        arguments.add_data_folder(where)
        where.add_argument(
            "--store", type=Path, metavar="DIR", help="what was computed; default: a cache folder"
        )
        if name == "plan":
            parser.add_argument("--json", action="store_true", help="machine-readable")
            continue
        how.add_argument(
            "--engine",
            choices=["auto", "inline", "ray"],
            default="auto",
            help="auto: ray where that pays off; the records are the same",
        )
        how.add_argument("--ray-address", metavar="ADDRESS", help="of a running Ray cluster")
        how.add_argument(
            "--timeout",
            type=float,
            metavar="SECONDS",
            help="a job that takes longer fails, and others go on; default: none does",
        )
        where.add_argument("--out", type=Path, metavar="DIR", help="the run's files")
        where.add_argument("--force", action="store_true", help="replace another run in --out")
        parser.add_argument("--dry-run", action="store_true", help="the same as 'plan'")
        parser.add_argument("--quiet", action="store_true", help="no progress, no table")
        parser.set_defaults(json=False)


def execute_run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its table, and say where its files are."""
    if options.dry_run:
        return execute_plan(options)
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
            timeout=options.timeout,
            observer=progress,
        )
    if not options.quiet:
        _print_run(finished)
    return 1 if (finished.records["status"] == "failed").any() else 0


def _print_run(finished: Run) -> None:
    from oodbench.report.merging import texts_of
    from oodbench.report.tables import render

    info = finished.info
    print_ansi(render(finished.records, format="terminal", width=width(), **texts_of([finished])))
    for title, reason in info["missing"].items():
        say(f"left out: {title}: {reason}")
    if info["shipped"]:
        say(f"shipped weights were taken (--retrain trains again): {', '.join(info['shipped'])}")
    say(
        f"{info['images_forwarded']:,} images passed through the classifier, of "
        f"{info['distinct_images']:,} different ones, {info['jobs_run']} jobs run, "
        f"{info['jobs_reused']} taken from the store, "
        f"{info['wall_seconds']:.1f} s"
    )
    say(f"{finished.directory}/")


def execute_plan(options: argparse.Namespace) -> int:
    """Show the jobs of a run, and which of them are in the store."""
    from rich.console import Console
    from rich.table import Table

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
    taken = prepared.resolved.request.describe_images()
    if options.json:
        content = {"to_run": jobs, "in_store": len(prepared.found), "images": taken}
        print(json.dumps(content | {"missing": prepared.resolved.missing}, indent=2))
        return 0
    table = Table("to run", "CPUs", "GPUs", "key", box=None, header_style="bold")
    for job in jobs:
        table.add_row(
            as_markup(str(job["job"])), str(job["cpus"]), f"{job['gpus']:g}", str(job["key"])[:12]
        )
    Console().print(table)
    for title, text in taken.items():
        say(f"{title}: {text}")
    for title, reason in prepared.resolved.missing.items():
        say(f"left out: {title}: {reason}")
    say(f"{len(jobs)} jobs to run, {len(prepared.found)} results in the store")
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
        arch=options.arch,
        images=options.images,
        seeds=options.seeds,
        classifier_seeds=options.classifier_seeds,
        parameters=options.parameters,
        data=data_folder(options.data),
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        download=options.download and options.command == "run" and not options.dry_run,
        retrain=options.retrain,
    )
