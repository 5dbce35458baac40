"""What Ray cannot do for a job is the failure of that job, or is said at once."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import sample_detectors as sample

from oodbench.engine import Outcomes, cluster
from oodbench.engine.cluster import Machines, connected, fitted_to_machines
from oodbench.engine.progress import Progress
from oodbench.engine.ray import _Scheduler, run_ray
from oodbench.engine.runlog import RunLog
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.store.artifacts import Store

IMAGES = np.arange(10 * 36, dtype=np.uint8).reshape(10, 1, 6, 6)
MACHINES = [
    {"Alive": True, "Resources": {"GPU": 8.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 1.0}},
    {"Alive": False, "Resources": {"CPU": 1.0, "GPU": 8.0}},
]
"""A head that runs no jobs, two machines, and one that was lost."""


class Unpicklable(sample.Brightness):
    """Holds what cannot leave its process."""

    info = sample.info("unpicklable")

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file that is called as a module is."""
    folder = tmp_path_factory.mktemp("started-here")
    (folder / "torch.py").write_text("raise RuntimeError('not to be imported')")
    return folder


@pytest.fixture(scope="module")
def ray(folder: Path):
    """Start Ray with one CPU for the tests of this module, whose workers find their classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(Path(sample.__file__).parent), prepend=os.pathsep)
        with connected(1, 0, None) as ray:
            yield ray


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store of ten prepared images."""
    store = Store(tmp_path / "store")
    with store.create("prepare", "images") as draft:
        for name, values in (("images", IMAGES), ("labels", np.arange(10))):
            np.save(draft / f"{name}.npy", values)
        np.save(draft / "indices.npy", np.arange(10))
        draft.meta.update(shape=[1, 6, 6], num_classes=10, count=10, note="")
    return store


def score_job(detector, cpus: int = 1, gpus: float = 0.0) -> Job:
    name = detector.info.name
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
    images = {"images": Ref("prepare", "images")}
    return Job(Ref("score", name), f"score by {name}", spec, images, Resources(cpus, gpus))


@pytest.mark.parametrize(
    ("gpus", "cpus"), [(0.0, 2), (0.25, 3), (1.0, 3)], ids=["no-gpu", "share", "gpu"]
)
def test_a_job_has_the_cpus_of_the_smallest_machine_that_suits_it(gpus: float, cpus: int) -> None:
    (job,) = fitted_to_machines([score_job(sample.Brightness(), 4, gpus)], MACHINES)
    assert job.resources == Resources(cpus, gpus)


def test_a_job_that_needs_few_cpus_is_given_no_more() -> None:
    (job,) = fitted_to_machines([score_job(sample.Brightness(), 1)], MACHINES)
    assert job.resources == Resources(1, 0.0)


@pytest.mark.parametrize(
    ("gpus", "machines"),
    [(2.0, MACHINES), (0.0, MACHINES[:1]), (0.0, [])],
    ids=["gpus", "no-cpu", "no-machine"],
)
def test_a_job_that_no_living_machine_suits_is_refused(gpus: float, machines: list) -> None:
    with pytest.raises(UserError, match=rf"'score by brightness' asks for 1 CPU and {gpus:g} GPUs"):
        fitted_to_machines([score_job(sample.Brightness(), 1, gpus)], machines)


def test_a_cluster_that_is_too_small_is_found_out_before_any_work(ray, store: Store) -> None:
    jobs = [score_job(sample.Brightness()), score_job(sample.ReturnsNan(), gpus=1)]
    with pytest.raises(UserError, match="'score by returns-nan' asks for 1 CPU and 1 GPUs"):
        run_ray(jobs, store, "cpu", Progress(quiet=True), Outcomes(), cpus=1, gpus=0)
    assert store.find("score", "brightness") is None


def test_workers_import_nothing_from_the_folder_that_they_were_started_in(ray, folder) -> None:
    path = ray.get(ray.remote(lambda: sys.path).remote())
    assert str(folder) not in path
    assert "" not in path


def test_what_ray_announces_is_in_the_log_and_not_on_the_terminal(ray, capsys, tmp_path) -> None:
    from ray._private import utils, worker

    path = tmp_path / "run.log"
    with RunLog(path, "digits", Progress(quiet=True)), connected(1, 0, None):
        text = "Raylet is terminated. Last lines:\n  one\n  two"
        utils.publish_error_to_driver("died", text, gcs_client=worker.global_worker.gcs_client)
        end = time.monotonic() + 20
        while "two" not in path.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
    assert "Ray: Raylet is terminated. Last lines:\n      one\n      two" in path.read_text()
    assert capsys.readouterr() == ("", "")


def test_a_detector_that_cannot_be_pickled_fails_alone_and_jobs_of_many_cpus_run(
    ray, store: Store
) -> None:
    results = Outcomes()
    jobs = [score_job(Unpicklable()), score_job(sample.Brightness(), cpus=4)]
    run_ray(jobs, store, "cpu", Progress(quiet=True), results, cpus=1, gpus=0)
    assert results.done == {jobs[1].ref}
    assert list(results.failed) == [jobs[0].ref]
    error = results.failed[jobs[0].ref].error
    assert error.startswith("cannot be pickled: TypeError: cannot pickle '_thread.lock' object")
    assert store.open("score", "brightness").meta["cpus"] == 1  # as many as the machine has
    assert "\n" not in error


def test_a_run_outlives_its_mailbox(ray, store: Store) -> None:
    results = Outcomes()
    jobs = [score_job(sample.Brightness())]
    scheduler = _Scheduler(ray, jobs, store, "cpu", Progress(quiet=True), results)
    ray.kill(scheduler._mailbox)
    scheduler.run()
    assert results.done == {jobs[0].ref}


def test_progress_is_shown_and_timed_though_the_first_report_was_lost(ray, store: Store) -> None:
    job = score_job(sample.Brightness())
    with Progress(quiet=True) as progress:
        scheduler = _Scheduler(ray, [job], store, "cpu", progress, Outcomes())
        scheduler._running[object()] = job
        ray.get(scheduler._mailbox.put.remote((job.ref, 4, 10, {})))
        scheduler._pass_on_progress()
    assert job.ref in scheduler._started


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (Exception("The current node timed out during startup.\nMore"), "timed out during startup"),
        (KeyError("GCS_ADDRESS"), "'GCS_ADDRESS'"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_that_ray_cannot_be_started_is_one_sentence(monkeypatch, raised, said: str) -> None:
    import ray

    def fail(**_) -> None:
        raise raised

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError) as caught, connected(1, 0, None):
        pass
    message = str(caught.value)
    assert message.startswith("Ray cannot be started on this machine: ")
    assert f"{said}; --engine inline does without" in message
    assert "\n" not in message


def test_that_ray_is_lost_is_one_sentence(ray) -> None:
    expected = r"Ray was lost: .*; the same command resumes from here"
    with pytest.raises(UserError, match=expected), connected(1, 0, None):
        raise ray.exceptions.RaySystemError("the raylet is gone")


class Lost:
    """A Ray whose tasks all end with an error."""

    def __init__(self, ray, error: Exception) -> None:
        self.exceptions = ray.exceptions
        self.error = error

    def get(self, handle) -> None:
        raise self.error


@pytest.fixture
def losing(ray, store: Store):
    """Return a function that makes a scheduler whose tasks end with an error."""

    def make(error: Exception) -> _Scheduler:
        scheduler = _Scheduler(ray, [], store, "cpu", Progress(quiet=True), Outcomes())
        scheduler._ray = Lost(ray, error)
        return scheduler

    return make


def test_a_job_whose_worker_was_lost_twice_fails(ray, losing) -> None:
    job, scheduler = score_job(sample.Brightness()), losing(ray.exceptions.WorkerCrashedError())
    assert scheduler._outcome(job, None) is None
    assert scheduler._outcome(job, None).error.startswith("its process was lost 2 times: ")


def test_a_job_is_not_blamed_for_machines_that_are_lost(ray, losing) -> None:
    job, scheduler = score_job(sample.Brightness()), losing(ray.exceptions.NodeDiedError("gone"))
    assert [scheduler._outcome(job, None) for _ in range(4)] == [None] * 4
    assert scheduler._outcome(job, None).error == "its process was lost 5 times: gone"


def test_no_job_is_blamed_when_the_cluster_is_lost(ray, losing) -> None:
    job, scheduler = score_job(sample.Brightness()), losing(ray.exceptions.LocalRayletDiedError())
    with pytest.raises(ray.exceptions.LocalRayletDiedError):
        scheduler._outcome(job, None)


def test_a_head_that_is_out_of_reach_for_long_is_lost(ray, monkeypatch) -> None:
    machines = Machines(ray)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0)
    machines.require([])
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(machines, "_address", f"127.0.0.1:{server.getsockname()[1]}")
        machines.require([])
    machines.require([])
    monkeypatch.setattr(cluster, "LOST_SECONDS", 0)
    with pytest.raises(ray.exceptions.RaySystemError, match=r"head at 127\.0\.0\.1:\d+ is out of"):
        machines.require([])


def test_a_job_that_no_machine_suits_any_more_waits_for_a_while_only(ray, monkeypatch) -> None:
    machines, job = Machines(ray), score_job(sample.Brightness(), gpus=1)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0)
    machines.require([job])
    monkeypatch.setattr(cluster, "UNSUITED_SECONDS", 0)
    with pytest.raises(UserError, match="left with the 1 CPUs and 1 GPUs that 'score by bright"):
        machines.require([job])
    machines.require([score_job(sample.Brightness())])
    machines.require([score_job(sample.Brightness(), cpus=99)])
    with pytest.raises(UserError, match="left with the 99 CPUs and 0 GPUs that"):
        machines.require([score_job(sample.Brightness(), cpus=99)])
