"""Measure two trainings side by side under Ray against one after the other.

    python benchmarks/speed/engines.py [--json FILE]

Two seeds of GANAD on digits: the classifier and the generator come from a store that is filled
beforehand and is not measured; the two trainings of the anomaly detector are. They are run one
after the other with one thread each, one after the other with two threads each, and side by side
with one thread each under Ray, the start of Ray and its workers included.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from oodbench import hardware
from oodbench.engine import Outcomes
from oodbench.engine.inline import run_inline
from oodbench.engine.progress import Progress
from oodbench.engine.ray import run_ray
from oodbench.plan.jobs import Job, Plan, Resources
from oodbench.plan.planning import make_plan
from oodbench.registry.lookup import load_registry
from oodbench.request.options import Options
from oodbench.request.resolution import resolve
from oodbench.runs.versions import versions
from oodbench.store.artifacts import Store
from oodbench.store.paths import data_folder


def main() -> None:
    import torch  # noqa: F401 (so that no way pays for it)

    arguments = _parse()
    options = Options(
        id=arguments.id,
        detectors=["ganad"],
        seeds=2,
        data=data_folder(None),
        parameters={"ganad": {"anomaly_steps": arguments.steps}},
        device="cpu",
    )
    plan = make_plan(resolve(options, load_registry()).request)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.store or Path(folder) / "store")
        fits = _fits(plan)
        _fill(plan, fits, store)
        ways: dict[str, Callable[[], float]] = {
            "one after the other, 1 thread": lambda: _inline(_with_cpus(fits, 1), store),
            "one after the other, 2 threads": lambda: _inline(_with_cpus(fits, 2), store),
            "side by side under Ray, 1 thread": lambda: _ray(_with_cpus(fits, 1), store),
        }
        times = {name: [] for name in ways}
        for _ in range(arguments.repetitions):
            for name, way in ways.items():
                _forget(fits, store)
                times[name].append(way())
        _show(times, arguments)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--id", default="digits", help="benchmark (default: digits)")
    parser.add_argument("--steps", type=int, default=1200, help="AD's steps (default: 1200)")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--store", type=Path, help="take classifier and generator from here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def _fits(plan: Plan) -> list[Job]:
    """Return the jobs that train the two anomaly detectors."""
    return [job for job in plan.jobs.values() if job.title.startswith("fit ganad (seed")]


def _fill(plan: Plan, fits: Sequence[Job], store: Store) -> None:
    """Compute all that the trainings take in."""
    wanted = {ref for job in fits for ref in job.inputs.values()}
    before: list[Job] = []
    for job in reversed(plan.jobs.values()):
        if job.ref in wanted:
            before.insert(0, job)
            wanted |= set(job.inputs.values())
    missing = [job for job in before if store.find(*job.ref) is None]
    run_inline(missing, store, "cpu", Progress(), Outcomes())


def _with_cpus(jobs: Sequence[Job], cpus: int) -> list[Job]:
    return [replace(job, resources=Resources(cpus, 0.0)) for job in jobs]


def _forget(jobs: Sequence[Job], store: Store) -> None:
    for job in jobs:
        shutil.rmtree(store.root / job.ref.stage / job.ref.key, ignore_errors=True)


def _inline(jobs: Sequence[Job], store: Store) -> float:
    started = time.perf_counter()
    _finish(jobs, run := Outcomes(), lambda: run_inline(jobs, store, "cpu", Progress(), run))
    return time.perf_counter() - started


def _ray(jobs: Sequence[Job], store: Store) -> float:
    started = time.perf_counter()
    _finish(
        jobs,
        run := Outcomes(),
        lambda: run_ray(jobs, store, "cpu", Progress(), run, cpus=hardware.count_cpus(), gpus=0),
    )
    return time.perf_counter() - started


def _finish(jobs: Sequence[Job], results: Outcomes, way: Callable[[], None]) -> None:
    way()
    if len(results.done) != len(jobs):
        raise SystemExit(f"a training failed: {results.failed}")


def _show(times: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    medians = {name: statistics.median(each) for name, each in times.items()}
    rows = [(name, medians[name], min(each), max(each), len(each)) for name, each in times.items()]
    print(tabulate(rows, ["two trainings", "median s", "min s", "max s", "n"], floatfmt=".2f"))
    one, two, side = medians.values()
    ratios = f"{side / one:.2f} (1 thread), {side / two:.2f} (2 threads)"
    print(f"\nRay over one after the other: {ratios}")
    figures = {
        "seconds_sequential_1_thread": one,
        "seconds_sequential_2_threads": two,
        "seconds_ray": side,
        "ratio_ray_over_1_thread": side / one,
        "ratio_ray_over_2_threads": side / two,
        "repetitions": arguments.repetitions,
        "benchmark": arguments.id,
        "anomaly_steps": arguments.steps,
        **hardware.describe(),
        **versions(),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
