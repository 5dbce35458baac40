"""Measure what the harness adds: start-up, Ray's work for a job, resuming a run, reading the store.

    python benchmarks/speed/overheads.py [--repetitions 5] [--json FILE]

start-up  `oodbench --help` and `oodbench list`, each a process of its own, against a Python that
          does nothing.
job       the jobs that score and evaluate four detectors on digits, by Ray with one process and
          inline. Ray's start is measured with the first of the jobs alone, and taken off.
resume    a run of which all is in the store: planning, finding artifacts, writing its files.
store     finding all artifacts of that run, each file compared with its checksum, against reading
          the same files and doing nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: F401 (so that no way pays for it)
from common import Figures, machine, spread, write_figures
from tabulate import tabulate

import oodbench
from oodbench.engine import Outcomes
from oodbench.engine.inline import run_inline
from oodbench.engine.progress import Progress
from oodbench.engine.ray import run_ray
from oodbench.plan.jobs import Job, Resources
from oodbench.request.options import Options
from oodbench.runs.runner import plan_options
from oodbench.store.artifacts import Store
from oodbench.store.upkeep import places

REQUEST: Mapping[str, Any] = {
    "id": "digits",
    "detectors": ["msp", "maxlogit", "energy", "entropy"],
    "device": "cpu",
    "parameters": {"preact-resnet": {"width": 4, "epochs": 1}},
}

OBSERVER = Progress(quiet=True)

STARTED: Mapping[str, Sequence[str]] = {
    "python": ["-c", "pass"],
    "help": ["-c", "from oodbench.cli import main; main(['--help'])"],
    "list": ["-c", "from oodbench.cli import main; main(['list'])"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures = measure(arguments.repetitions) | machine()
    print(tabulate(figures.items(), floatfmt=".4f"))
    write_figures(figures, arguments.json)


def measure(repetitions: int) -> Figures:
    """Return the seconds of each way, medians over repetitions, and their ratios."""
    figures: Figures = {"repetitions": repetitions}
    starts = {name: functools.partial(_start, words) for name, words in STARTED.items()}
    figures |= _in_turns(starts, repetitions)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures |= _of_a_run(folder, repetitions) | _of_jobs(folder, repetitions)

    def ratio(first: str, second: str) -> float:
        return round(float(figures[f"seconds_{first}"]) / float(figures[f"seconds_{second}"]), 3)

    with_ray = float(figures["seconds_ray"]) - float(figures["seconds_ray_start"])
    figures["seconds_ray_jobs"] = max(round(with_ray, 5), 0.0)
    return figures | {
        "ratio_help_over_python": ratio("help", "python"),
        "ratio_list_over_python": ratio("list", "python"),
        "ratio_store_over_reading": ratio("store", "reading"),
        "ratio_resume_over_run": ratio("resume", "first_run"),
        "ratio_ray_over_inline_job": ratio("ray_jobs", "inline"),
    }


def _of_a_run(folder: Path, repetitions: int) -> Figures:
    """Measure a run of which all is in the store, and finding its artifacts."""
    store = Store(folder / "store")

    def resume() -> float:
        return _timed(lambda: oodbench.run(**REQUEST, store=store.root, out=folder / "run"))

    def find() -> float:
        copy = _copied(store, folder)
        return _timed(lambda: [copy.find_written(place) for place in wanted])

    def read() -> float:
        files = [path for path in _copied(store, folder).root.rglob("*") if path.is_file()]
        return _timed(lambda: [path.read_bytes() for path in files])

    figures: Figures = {"seconds_first_run": round(resume(), 5)}
    wanted = list(places(store))
    figures["jobs"] = len(wanted)
    return figures | _in_turns({"resume": resume, "store": find, "reading": read}, repetitions)


def _copied(store: Store, folder: Path) -> Store:
    """Return a copy of a store, whose files no process has read before."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(store.root, folder / "copy")
    return Store(folder / "copy")


def _of_jobs(folder: Path, repetitions: int) -> Figures:
    """Measure scoring and evaluating by Ray, by Ray for one job, and inline."""
    store = Store(folder / "store")
    jobs = list(_light(store))

    def with_ray(chosen: Sequence[Job]) -> float:
        return made_again(
            chosen, lambda done: run_ray(chosen, store, "cpu", OBSERVER, done, cpus=1, gpus=0)
        )

    def inline() -> float:
        return made_again(jobs, lambda done: run_inline(jobs, store, "cpu", OBSERVER, done))

    def made_again(chosen: Sequence[Job], engine: Callable[[Outcomes], None]) -> float:
        for job in jobs:
            shutil.rmtree(store.root.joinpath(*job.ref), ignore_errors=True)
        done = Outcomes()
        seconds = _timed(lambda: engine(done))
        if len(done.done) != len(chosen):
            raise SystemExit(f"a job failed: {done.failed}")
        return seconds

    first = [job for job in jobs if job.ref.stage == "score"][:1]
    ways = {"ray": lambda: with_ray(jobs), "ray_start": lambda: with_ray(first), "inline": inline}
    figures: Figures = {"jobs_by_engine": len(jobs)}
    return figures | _in_turns(ways, repetitions)


def _light(store: Store) -> Iterator[Job]:
    """Yield the jobs that score and evaluate, with one CPU each."""
    for job in plan_options(Options(**REQUEST), store).plan.jobs.values():
        if job.ref.stage in ("score", "evaluate"):
            yield dataclasses.replace(job, resources=Resources(cpus=1, gpus=0.0))


def _start(words: Sequence[str]) -> float:
    return _timed(lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _in_turns(ways: Mapping[str, Callable[[], float]], repetitions: int) -> Figures:
    """Return the spread of the seconds that each way returns, when they take turns."""
    times = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            times[name].append(way())
    return {name: value for each in times for name, value in spread(each, times[each]).items()}


if __name__ == "__main__":
    main()
