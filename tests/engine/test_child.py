"""A job that ends, crashes, hangs or takes all memory in the other process is a failed job."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sample_detectors as sample

from oodbench.engine import child as module
from oodbench.engine.child import Child
from oodbench.engine.worker import Outcome
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.store.artifacts import Store

IMAGES = np.arange(10 * 36, dtype=np.uint8).reshape(10, 1, 6, 6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("child") / "store")
    with store.create("prepare", "images") as draft:
        for name, values in (("images", IMAGES), ("labels", np.arange(10))):
            np.save(draft / f"{name}.npy", values)
        np.save(draft / "indices.npy", np.arange(10))
        draft.meta.update(shape=[1, 6, 6], num_classes=10, count=10, note="")
    return store


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(timeout=20) as child:
        yield child


def score_job(detector) -> Job:
    spec = {
        "detector": detector,
        "classifier": None,
        "part": "all",
        "count": 5,
        "selection_seed": 0,
        "seed": 0,
        "precision": "float32",
        "batch_size": 4,
    }
    name = detector.info.name
    images = {"images": Ref("prepare", "images")}
    return Job(Ref("score", name), f"score by {name}", spec, images, Resources(1, 0.0))


def run(child: Child, store: Store, detector) -> Outcome:
    return child.execute(score_job(detector), store.root, "cpu", lambda *_: None)


def scores(store: Store, detector) -> list[float]:
    return np.load(store.open("score", detector.info.name) / "scores.npy").tolist()


def test_a_job_is_done_and_reports_its_progress(child: Child, store: Store) -> None:
    reports = []
    job = score_job(sample.Brightness())
    outcome = child.execute(job, store.root, "cpu", lambda *report: reports.append(report))
    assert outcome == Outcome()
    assert scores(store, sample.Brightness()) == pytest.approx(IMAGES.mean((1, 2, 3)) / 255)
    assert reports[-1] == (10, 10, {})


def test_a_class_of_a_script_is_sent_along(child: Child, store: Store) -> None:
    class Local(sample.Brightness):
        info = sample.info("local")

    assert run(child, store, Local()) == Outcome()
    assert scores(store, Local()) == scores(store, sample.Brightness())


class Holds(sample.Brightness):
    info = sample.info("holds")

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_sent_is_a_failed_job(child: Child, store: Store) -> None:
    error = run(child, store, Holds()).error
    assert error.startswith("cannot be pickled: TypeError: cannot pickle '_thread.lock' object")


def test_a_failure_is_told_as_by_this_process(child: Child, store: Store) -> None:
    outcome = run(child, store, sample.Cancels())
    assert outcome.error.startswith("CancelledError: enough (sample_detectors.py:")
    assert "Traceback" in outcome.trace


def test_what_a_plugin_prints_is_no_message(child: Child, store: Store) -> None:
    class Prints(sample.Brightness):
        info = sample.info("prints")

        def score(self, batch):
            print("x" * 100)
            os.write(1, b"y" * 100)
            return super().score(batch)

    assert run(child, store, Prints()) == Outcome()


def test_a_process_that_ends_is_a_failed_job_and_started_again(child: Child, store: Store) -> None:
    assert run(child, store, sample.Ends()).error == "its process ended with exit code 3"
    assert run(child, store, sample.Cancels()).error.startswith("CancelledError")


class LeavesWorker(sample.Brightness):
    """Ends while a process that it forked, in a session of its own, holds all that it had open."""

    info = sample.info("leaves-worker")

    def score(self, batch):
        if not os.fork():
            os.setsid()
            time.sleep(5)
            os._exit(0)
        os._exit(3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_ends_before_its_workers_is_noticed_at_once(store: Store) -> None:
    with Child(timeout=20) as child:
        run(child, store, sample.Cancels())  # starts the process
        started = time.monotonic()
        assert run(child, store, LeavesWorker()).error == "its process ended with exit code 3"
        assert time.monotonic() - started < 4


class ClosesFiles(sample.Brightness):
    """Closes all files of its process, as a daemon does, and goes on."""

    info = sample.info("closes-files")

    def score(self, batch):
        os.closerange(3, 256)
        time.sleep(15)


def test_a_process_that_closes_its_connection_fails_its_job(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.2)
    with Child(timeout=20) as child:
        run(child, store, sample.Cancels())  # starts the process
        started = time.monotonic()
        assert run(child, store, ClosesFiles()).error == "its process does not answer"
        assert time.monotonic() - started < 10


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_crash_is_a_failed_job_with_the_place(child: Child, store: Store) -> None:
    class Crashes(sample.Brightness):
        info = sample.info("crashes-in-score")

        def score(self, batch):
            sample.Crashes.fit(self, None, None)

    outcome = run(child, store, Crashes())
    assert outcome.error == "its process was ended by SIGSEGV"
    assert "Segmentation fault" in outcome.trace
    assert "sample_detectors.py" in outcome.trace


def test_a_job_that_takes_too_long_fails_with_the_place(store: Store) -> None:
    started = time.monotonic()
    with Child(timeout=0.5) as impatient:
        outcome = run(impatient, store, sample.Hangs())
    assert outcome.error == "took longer than 0.5 s (--timeout)"
    assert "re/__init__.py" in outcome.trace
    assert time.monotonic() - started < 30


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_job_that_takes_too_much_memory_fails(child: Child, store: Store, monkeypatch) -> None:
    run(child, store, sample.Cancels())
    monkeypatch.setattr(module, "free_memory", lambda: 2**28)
    error = run(child, store, sample.Hoards()).error
    assert error.startswith("took more than ")
    assert error.endswith(" GiB of memory, 95% of what was free")


SCRIPT = """
import pickle, sys
from pathlib import Path
from oodbench.engine.child import Child

job, root = pickle.loads(Path(sys.argv[1]).read_bytes())
with Child() as child:
    child.execute(job, root, "cpu", lambda *_: print(child._process.pid, flush=True))
"""


class ReportsAndHangs(sample.Brightness):
    info = sample.info("reports-and-hangs")

    def score(self, batch):
        if hasattr(self, "asked"):
            sample.Hangs().score(batch)
        self.asked = True
        return super().score(batch)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends it whatever it does")
def test_the_process_does_not_outlive_its_parent(store: Store, tmp_path: Path) -> None:
    import pickle

    given = tmp_path / "job"
    given.write_bytes(pickle.dumps((score_job(ReportsAndHangs()), store.root)))
    folders = [Path(sample.__file__).parent, Path(__file__).parent]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(given)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    try:
        pid = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.communicate()
    wait_for(partial(is_gone, pid))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
