"""Killed at any moment, the same command resumes; several at once share store and jobs."""

from __future__ import annotations

import random
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from oodbench.cli import main
from oodbench.results.run import Run, read_run
from oodbench.store.artifacts import MANIFEST, Store
from oodbench.store.leases import is_held

OODBENCH = Path(sysconfig.get_path("scripts")) / "oodbench"
DETECTORS = Path(__file__).parents[1].joinpath("sample_detectors.py").read_text(encoding="utf-8")
TIMES = ["fit_seconds", "score_seconds"]
SECONDS = 300
"""Longer than a run takes on the busiest machine."""


@pytest.fixture
def command(install, tiny: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that gives the arguments of a run, by its folder and its engine."""
    install("samples", DETECTORS)

    def arguments(out: str, store: str = "store", engine: str = "inline") -> list[str]:
        line = (
            f"run --benchmark {tiny} --detectors confidence,drawn,first-of-two --seeds 2 "
            f"--engine {engine} --device cpu --quiet --data {tmp_path}/data"
        )
        return [*line.split(), "--store", f"{tmp_path}/{store}", "--out", f"{tmp_path}/{out}"]

    return arguments


@pytest.fixture
def undisturbed(command, tmp_path: Path) -> Callable[..., Run]:
    """Return a function that runs the command in one go, with a store of its own."""

    def run() -> Run:
        assert main(command("undisturbed", store="other")) == 0
        return read_run(tmp_path / "undisturbed")

    return run


def artifacts(store: Path) -> dict[Path, tuple[int, int]]:
    """Return what tells an artifact from one that was made again in its place."""
    complete = [path for path in store.glob(f"*/*/{MANIFEST}") if path.parts[-3] != "tmp"]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in complete}


def assert_same(one: Run, other: Run) -> None:
    pd.testing.assert_frame_equal(
        one.records.drop(columns=TIMES), other.records.drop(columns=TIMES), check_exact=True
    )
    pd.testing.assert_frame_equal(one.scores(), other.scores(), check_exact=True)
    pd.testing.assert_frame_equal(one.predictions(), other.predictions(), check_exact=True)


def assert_kept(before: dict[Path, tuple[int, int]], store: Path) -> None:
    after = artifacts(store)
    assert {path: after.get(path) for path in before} == before


def kill_when(process: subprocess.Popen, moment: Callable[[], bool]) -> None:
    """Kill a process at a moment, or let it end before."""
    end = time.monotonic() + SECONDS
    while process.poll() is None and not moment():
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_after_some_artifacts_a_run_resumes(
    command, undisturbed, tmp_path: Path, one_cpu
) -> None:
    whole = undisturbed()
    count = len(artifacts(tmp_path / "other"))
    store = tmp_path / "store"
    moments = sorted(random.Random(0).sample(range(1, count), 2))
    for moment in moments:
        before = artifacts(store)
        process = subprocess.Popen([OODBENCH, *command("run")])
        kill_when(process, lambda moment=moment: len(artifacts(store)) >= moment)
        assert process.returncode == -signal.SIGKILL
        assert_kept(before, store)
    before = artifacts(store)
    assert moments[-1] <= len(before) < count
    assert main(command("run")) == 0
    finished = read_run(tmp_path / "run")
    assert_same(finished, whole)
    assert_kept(before, store)
    assert finished.info["jobs_run"] == count - len(before)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_killed_at_ten_random_moments_a_run_resumes(
    command, undisturbed, tmp_path: Path, engine: str
) -> None:
    whole = undisturbed()
    started = time.monotonic()
    arguments = command("timed", store="timed", engine=engine)
    subprocess.run([OODBENCH, *arguments], check=True, timeout=SECONDS)
    seconds = time.monotonic() - started
    store = tmp_path / "store"
    draw = random.Random(1)
    for _ in range(10):
        before = artifacts(store)
        process = subprocess.Popen([OODBENCH, *command("run", engine=engine)])
        end = time.monotonic() + draw.uniform(0, seconds)
        kill_when(process, lambda end=end: time.monotonic() > end)
        assert_kept(before, store)
    before = artifacts(store)
    subprocess.run([OODBENCH, *command("run", engine=engine)], check=True, timeout=SECONDS)
    assert_same(read_run(tmp_path / "run"), whole)
    assert_kept(before, store)


@pytest.fixture
def at_once(command, tmp_path: Path, one_cpu: Callable[[int], None]):
    """Return a function that starts some runs at once on one store."""

    def start(count: int, engine: str) -> list[subprocess.Popen]:
        processes = []
        for number in range(count):
            one_cpu(number)
            arguments = command(f"{number}", engine=engine)
            processes.append(subprocess.Popen([OODBENCH, *arguments]))
        return processes

    return start


def assert_store_is_clean(store: Path) -> None:
    for folder in ("tmp", "leases", "checkpoints"):
        assert list((store / folder).glob("*")) == []


MANY = [
    (2, "inline"),
    pytest.param(6, "inline", marks=pytest.mark.slow),
    pytest.param(2, "ray", marks=pytest.mark.slow),
    pytest.param(6, "ray", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("count", "engine"), MANY)
def test_runs_at_once_share_store_and_jobs(
    at_once, undisturbed, tmp_path: Path, count: int, engine: str
) -> None:
    whole = undisturbed()
    assert [process.wait(SECONDS) for process in at_once(count, engine)] == [0] * count
    runs = [read_run(tmp_path / f"{number}") for number in range(count)]
    assert_same(runs[0], whole)
    assert all(run.records.equals(runs[0].records) for run in runs)  # times too
    for figure in ("jobs_run", "images_forwarded"):
        assert sum(run.info[figure] for run in runs) <= 1.2 * whole.info[figure]
    for run in runs:
        assert run.info["jobs"].keys() == whole.info["jobs"].keys()
        assert run.info["jobs_run"] + run.info["jobs_reused"] <= whole.info["jobs_run"]
    store = Store(tmp_path / "store")
    assert all(store.find(*place.split("/")) for place in whole.info["jobs"])
    assert_store_is_clean(store.root)


@pytest.mark.parametrize(("count", "engine"), MANY)
def test_when_one_of_several_runs_is_killed_the_others_end(
    at_once, undisturbed, tmp_path: Path, count: int, engine: str
) -> None:
    whole = undisturbed()
    killed, *others = at_once(count, engine)
    kill_when(killed, lambda: len(artifacts(tmp_path / "store")) >= whole.info["jobs_run"] // 2)
    assert killed.returncode == -signal.SIGKILL
    assert [process.wait(SECONDS) for process in others] == [0] * (count - 1)
    for number in range(1, count):
        assert_same(read_run(tmp_path / f"{number}"), whole)
    # one that was killed just after it took the lease of a job that is done leaves it, held by none
    assert not any(map(is_held, (tmp_path / "store" / "leases").glob("*")))
