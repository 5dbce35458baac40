"""Killed at any moment, the same command resumes; two at once share a store."""

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
from oodbench.results import Run, read_run
from oodbench.store import MANIFEST, Store

OODBENCH = Path(sysconfig.get_path("scripts")) / "oodbench"
DETECTORS = Path(__file__).with_name("sample_detectors.py").read_text(encoding="utf-8")
TIMES = ["fit_seconds", "score_seconds"]
SECONDS = 120
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


def test_two_runs_at_once_share_a_store(
    command, undisturbed, tmp_path: Path, one_cpu: Callable[[int], None]
) -> None:
    whole = undisturbed()
    processes = []
    for number, out in enumerate(("one", "two")):
        one_cpu(number)
        processes.append(subprocess.Popen([OODBENCH, *command(out)]))
    assert [process.wait(SECONDS) for process in processes] == [0, 0]
    one, two = (read_run(tmp_path / out) for out in ("one", "two"))
    assert_same(one, whole)
    assert one.records.equals(two.records)  # times too: of two artifacts the first one stays
    store = Store(tmp_path / "store")
    assert all(store.find(*place.split("/")) for place in one.info["jobs"])
    assert list((store.root / "tmp").iterdir()) == []
