"""What Ray cannot do for a job is the failure of that job, or is said at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import sample_detectors as sample

from oodbench.engine import Outcomes
from oodbench.engine.progress import Progress
from oodbench.engine.ray import _refuse_small_machines, _Scheduler, connected, run_ray
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.store.artifacts import Store

IMAGES = np.arange(10 * 36, dtype=np.uint8).reshape(10, 1, 6, 6)
MACHINES = [
    {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 1.0, "GPU": 1.0}},
    {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
]


class Unpicklable(sample.Brightness):
    """Holds what cannot leave its process."""

    info = sample.info("unpicklable")

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.fixture(scope="module")
def ray():
    """Start Ray with one CPU for the tests of this module, whose workers find their classes."""
    with pytest.MonkeyPatch.context() as patch:
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


@pytest.mark.parametrize(("cpus", "gpus"), [(2, 0.0), (1, 0.25), (1, 1.0)])
def test_a_job_that_fits_one_machine_is_taken(cpus: int, gpus: float) -> None:
    _refuse_small_machines([score_job(sample.Brightness(), cpus, gpus)], MACHINES)


@pytest.mark.parametrize(("cpus", "gpus"), [(4, 0.0), (2, 1.0), (1, 2.0)])
def test_a_job_that_fits_no_living_machine_is_refused(cpus: int, gpus: float) -> None:
    expected = rf"asks for {cpus} CPUs and {gpus:g} GPUs, and the largest machine .* has 2 and 0;"
    with pytest.raises(UserError, match=expected):
        _refuse_small_machines([score_job(sample.Brightness(), cpus, gpus)], MACHINES)


def test_a_cluster_that_is_too_small_is_found_out_before_any_work(ray, store: Store) -> None:
    jobs = [score_job(sample.Brightness()), score_job(sample.ReturnsNan(), cpus=2)]
    with pytest.raises(UserError, match="'score by returns-nan' asks for 2 CPUs"):
        run_ray(jobs, store, "cpu", Progress(quiet=True), Outcomes(), cpus=1, gpus=0)
    assert store.find("score", "brightness") is None


def test_a_detector_that_cannot_be_pickled_fails_alone(ray, store: Store) -> None:
    results = Outcomes()
    jobs = [score_job(Unpicklable()), score_job(sample.Brightness())]
    run_ray(jobs, store, "cpu", Progress(quiet=True), results, cpus=1, gpus=0)
    assert results.done == {jobs[1].ref}
    assert list(results.failed) == [jobs[0].ref]
    error = results.failed[jobs[0].ref].error
    assert error.startswith("cannot be pickled: TypeError: cannot pickle '_thread.lock' object")
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
