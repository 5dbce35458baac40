"""Measure the project with all scripts of this folder, in small settings, and compare with before.

    python benchmarks/speed [NAME...] [--json FILE]

Each script is a process of its own, one after the other. What is compared are ratios of timings
that were taken in turns in one process, which machines have more in common than seconds. Those of
the last time are kept in FILE (default: results/speed.json) by processor and number of CPUs, and
replaced by the new ones; a ratio that is 20 % worse is marked. The spread of a ratio from one time
to the next is up to 10 % on a quiet machine, and has no meaning on a busy one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import machine
from tabulate import tabulate

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "results" / "speed.json"
WORSE = 1.2
"""How many times worse than the last time a ratio is that is marked."""


@dataclass(frozen=True)
class Measured:
    """A script, its setting, and the figures that are compared.

    Attributes:
        script: its name.
        setting: its arguments.
        figures: what to call a figure, by its name in the script's output. A name that begins with
            ``+`` is better the larger it is.
    """

    script: str
    setting: str
    figures: Mapping[str, str]


SUITE = (
    Measured(
        "run",
        "--id digits --images 1000 --repetitions 5",
        {
            "ratio_run_over_bare": "a run of ten detectors / bare forward pass",
            "+ratio_pytorch_ood_over_run": "pytorch-ood / a run of ten detectors",
        },
    ),
    Measured(
        "posthoc",
        "--id digits --images 500",
        {"+ratio": "pytorch-ood / a run of all post-hoc detectors"},
    ),
    Measured("ganad", "--repetitions 5", {"+ratio": "plain implementation / GANAD's iteration"}),
    Measured(
        "measures",
        "--scores 10000000 --repetitions 3",
        {
            "ratio": "all measures of ten million scores / one sort",
            "memory_ratio": "memory of all measures / scores",
        },
    ),
    Measured(
        "engines",
        "--repetitions 1",
        {"ratio_ray_over_1_thread": "two trainings under Ray / one after the other"},
    ),
    Measured(
        "overheads",
        "--repetitions 5",
        {
            "ratio_help_over_python": "oodbench --help / python that does nothing",
            "ratio_list_over_python": "oodbench list / python that does nothing",
            "ratio_store_over_reading": "finding artifacts / reading their files",
            "ratio_ray_over_inline_job": "a small job under Ray / inline",
            "ratio_resume_over_run": "a run of which all is in the store / the run",
        },
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = [each.script for each in SUITE]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--json", type=Path, default=KEPT, help="where the figures are kept")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    kept = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    described = machine()
    own = f"{described['cpu']}, {described['cpus']} CPUs"
    before = kept.get(own, {})
    found: dict[str, float] = {}
    for measured in SUITE:
        if not arguments.names or measured.script in arguments.names:
            found |= measure(measured)
    print(tabulate(compare(found, before), ["", "now", "before", "change", ""], floatfmt=".2f"))
    kept[own] = before | found
    arguments.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def measure(measured: Measured) -> dict[str, float]:
    """Run a script, and return the figures of it that are compared, by what they are called."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        script = HERE / f"{measured.script}.py"
        command = [sys.executable, script, *measured.setting.split(), "--json", path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures = json.loads(path.read_text(encoding="utf-8"))
    return {text: figures[name.lstrip("+")] for name, text in measured.figures.items()}


def compare(found: Mapping[str, float], before: Mapping[str, float]) -> Iterator[Sequence[Any]]:
    """Yield a row for each figure: its name, now, before, the change, and a mark if it is worse."""
    larger = {
        text
        for measured in SUITE
        for name, text in measured.figures.items()
        if name.startswith("+")
    }
    for text, now in found.items():
        last = before.get(text)
        if not last or not now:  # Ray's start, which is taken off, may take longer than its jobs
            yield text, now, last, "", ""
            continue
        worse = last / now if text in larger else now / last
        yield text, now, last, f"{now / last - 1:+.0%}", "worse" if worse > WORSE else ""


if __name__ == "__main__":
    main()
