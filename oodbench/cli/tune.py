"""The command ``tune``."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments
from oodbench.cli.output import as_markup, say, say_command, say_left_out

if TYPE_CHECKING:
    from oodbench.tuning.outcome import Tried, Tuned
    from oodbench.tuning.search import Tuning

TUNED = Path("results") / "tuned"
"""The default folder of definitions."""


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "choose parameters of detectors on validation data, without touching test images"
    parser = commands.add_parser("tune", help=text)
    what = parser.add_argument_group("what to tune")
    arguments.add(what, "id", "benchmark")
    chosen = "detectors to tune, or families such as all-posthoc"
    arguments.add_option(what, "detectors", required=True, default=None, help=chosen)
    what.add_argument(
        "--validation-outliers",
        type=arguments.names,
        metavar="A,B",
        help="data sets to validate on, none of them tested (default: the benchmark's, else made "
        "of ID training images)",
    )
    arguments.add_option(what, "ood", help="OOD test sets, which are never opened")
    arguments.add(what, "classifier", "arch", "parameters")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--samples",
        type=int,
        default=32,
        metavar="N",
        help="settings to try per detector, drawn at random if it has more (default: 32)",
    )
    how.add_argument(
        "--images",
        dest="images_per_set",
        type=int,
        default=1_000,
        metavar="N",
        help="largest number of images per validation set (default: 1000)",
    )
    arguments.add(how, "validation_images", "device", "download")
    engines = "how trials run; auto: by Ray Tune if several can run at once (same outcome)"
    arguments.add_option(how, "engine", help=engines)
    arguments.add(how, "ray_address")
    where = parser.add_argument_group("where")
    arguments.add(where, "data", "store")
    where.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="benchmark definition to write, for 'run' (default: in results/tuned)",
    )
    where.add_argument("--force", action="store_true", help="replace --out if it exists")
    arguments.add_quiet(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Tune detectors, print the outcome, and write a definition for ``run``."""
    from oodbench.engine.progress import Progress
    from oodbench.errors import UserError
    from oodbench.request.options import Options
    from oodbench.tuning.outcome import write_benchmark
    from oodbench.tuning.search import tune

    if options.out is not None:
        if options.out.suffix != ".toml":
            raise UserError(f"'{options.out}' does not end in .toml")
        if options.out.exists() and not options.force:
            raise UserError(f"'{options.out}' exists; name another --out, or use --force")
    asked = Options(**arguments.read(options))
    with Progress(quiet=options.quiet) as progress:
        tuning = tune(
            asked,
            outliers=options.validation_outliers,
            samples=options.samples,
            images=options.images_per_set,
            store=options.store,
            engine=options.engine,
            ray_address=options.ray_address,
            observer=progress,
        )
    place = options.out or TUNED / f"{tuning.benchmark.name}-{tuning.key[:8]}.toml"
    command = _next_command(tuning, options, place)
    write_benchmark(tuning.benchmark, _comments(tuning, command), place)
    if options.json:
        print(json.dumps(_content(tuning, place, command), indent=2))
    else:
        _print(tuning, place, command)
    failed = [each for each in tuning.found if each.best.error]
    return 1 if failed or tuning.broken else 0


def _next_command(tuning: Tuning, options: argparse.Namespace, place: Path) -> str:
    """Return the command that runs the tuned detectors."""
    parts = ["oodbench", "run", "--benchmark", str(place), "--detectors"]
    parts.append(",".join(tuning.detectors))
    for name in ("arch", "data", "store"):
        if value := getattr(options, name):
            parts += [f"--{name}", str(value)]
    return shlex.join(parts)


def _comments(tuning: Tuning, command: str) -> list[str]:
    return [
        f"Benchmark '{tuning.benchmark.name}' with parameters that were tuned on its validation",
        f"images against {_list(tuning.sets)}; no test image was opened. Run it by",
        f"    {command}",
    ]


def _content(tuning: Tuning, place: Path, command: str) -> dict[str, Any]:
    return {
        "validation_outliers": list(tuning.sets),
        "detectors": {each.detector: _describe(each) for each in tuning.found},
        "untunable": list(tuning.untunable),
        "missing": tuning.missing,
        "broken": tuning.broken,
        "unsuited": tuning.unsuited,
        "benchmark": str(place),
        "command": command,
    }


def _describe(tuned: Tuned) -> dict[str, Any]:
    def row(tried: Tried) -> dict[str, Any]:
        auroc = {"auroc": dict(tried.auroc), "mean_auroc": tried.mean} if tried.auroc else {}
        error = {"error": tried.error} if tried.error else {}
        return {"settings": dict(tried.settings), **auroc, **error}

    return {
        "default": row(tuned.default),
        "best": row(tuned.best),
        "changed": tuned.changed,
        "warnings": tuned.warnings(),
        "tried": [row(tried) for tried in tuned.tried],
    }


def _print(tuning: Tuning, place: Path, command: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("detector", overflow="fold")
    for heading in ("tried", "default", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("best settings")
    for tuned in tuning.found:
        table.add_row(
            as_markup(tuned.detector),
            str(len(tuned.tried)),
            _percent(tuned.default),
            _percent(tuned.best),
            as_markup(tuned.best.text) if tuned.changed else "default",
        )
    console = Console()
    console.print(table)
    sets = as_markup(_list(tuning.sets))
    console.print(
        f"\nMean AUROC in %, of validation images against {sets}. No test image was opened.",
        highlight=False,
    )
    for tuned in tuning.found:
        for warning in tuned.warnings():
            say(f"warning: {tuned.detector}: {warning}")
    if tuning.untunable:
        say(f"nothing to tune: {', '.join(tuning.untunable)}")
    say_left_out(tuning.missing, tuning.broken, tuning.unsuited)
    say("")
    say(place)
    say_command(command)


def _list(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _percent(tried: Tried) -> str:
    return f"{100 * tried.mean:.2f}" if tried.auroc else "failed"
