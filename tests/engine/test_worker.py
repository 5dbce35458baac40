"""A job runs with the threads it was given, and ends in an artifact or an outcome, never raises."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import torch
from sample_detectors import Adds, Brightness, Exits, ReturnsNan
from stagework import Small
from threadpoolctl import threadpool_info

from oodbench.engine.worker import Outcome, bind_torch, bound_threads, execute
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.store.artifacts import Artifact, Store

IMAGES = np.arange(10 * 36, dtype=np.uint8).reshape(10, 1, 6, 6)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def images(store: Store) -> Ref:
    with store.create("prepare", "images") as draft:
        for name, values in (
            ("images", IMAGES),
            ("labels", np.arange(10)),
            ("indices", np.arange(10)),
        ):
            np.save(draft / f"{name}.npy", values)
        draft.meta.update(shape=[1, 6, 6], num_classes=10, count=10, note="")
    return Ref("prepare", "images")


def fit_job(trainable, images: Ref, key: str = "fit", cpus: int = 1) -> Job:
    spec = {"trainable": trainable, "classifier": None, "seed": 0, "precision": "float32"}
    spec |= {"weights": (), "batch_size": 100}
    return Job(Ref("fit", key), f"fit {key}", spec, {"train": images}, Resources(cpus, 0.0))


def test_an_optional_input_that_was_not_made_is_left_out(store: Store, images: Ref) -> None:
    absent = Ref("fit", "absent")
    job = dataclasses.replace(
        score_job(Brightness(), images), inputs={"images": images, "other": absent}
    )
    assert "is missing" in execute(job, store.root, "cpu", lambda *_: None).error
    optional = dataclasses.replace(job, optional=frozenset({"other"}))
    assert execute(optional, store.root, "cpu", lambda *_: None) == Outcome()


def score_job(detector, images: Ref) -> Job:
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
    return Job(Ref("score", "score"), "score", spec, {"images": images}, Resources(1, 0.0))


class Reports:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.reported: list[tuple[int, int, dict[str, float]]] = []

    def __call__(self, done: int, total: int, figures: dict[str, float]) -> None:
        self.reported.append((done, total, figures))


def run(job: Job, store: Store) -> Outcome:
    return execute(job, store.root, "cpu", Reports())


def done(job: Job, store: Store) -> Artifact:
    assert run(job, store) == Outcome()
    return store.open(*job.ref)


class Watches(Brightness):
    """Learns what it sees of the machine."""

    def fit(self, train, context) -> Self:
        self.torch_ = torch.get_num_threads()
        self.pools_ = max(pool["num_threads"] for pool in threadpool_info())
        self.variable_ = os.environ["OMP_NUM_THREADS"]
        self.device_ = str(context.device)
        return self


@pytest.mark.parametrize("cpus", [1, 2])
def test_every_thread_pool_is_bound_to_the_cpus_of_the_job(store, images, cpus: int) -> None:
    made = done(fit_job(Watches(), images, cpus=cpus), store)
    learned = json.loads((made / "state.json").read_text())
    assert learned["torch_"] == cpus
    assert learned["pools_"] <= cpus
    assert learned["variable_"] == str(cpus)


def test_after_a_job_threads_are_as_they_were(store, images, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    torch.set_num_threads(3)
    done(fit_job(Watches(), images), store)
    assert torch.get_num_threads() == 3
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_job_without_gpu_computes_on_the_cpu(store, images) -> None:
    assert execute(fit_job(Watches(), images), store.root, "cuda", Reports()) == Outcome()
    learned = json.loads((store.open("fit", "fit") / "state.json").read_text())
    assert learned["device_"] == "cpu"


def test_what_made_an_artifact_is_noted_down(store, images) -> None:
    meta = done(fit_job(Brightness(), images), store).meta
    assert meta["title"] == "fit fit"
    assert meta["seconds"] > 0
    assert meta["finished"].endswith("Z")
    assert (meta["device"], meta["cpus"], meta["curves"]) == ("cpu", 1, [])


class Resuming(Brightness):
    def fit(self, train, context) -> Self:
        assert context.checkpoint.load() is None
        return self


def test_what_is_noted_of_a_job_reaches_the_user(store, images) -> None:
    job = fit_job(Resuming(), images)
    path = store.checkpoint(*job.ref)
    path.parent.mkdir()
    path.write_bytes(b"torn")
    outcome = run(job, store)
    assert outcome == Outcome(notes=("started from the beginning: its checkpoint is damaged",))
    assert not path.exists()


class Reporting(Brightness):
    def fit(self, train, context) -> Self:
        for step in range(1, 101):
            context.progress(step, 100, loss=torch.tensor(1 / step), rate=np.float32(0.5))
            context.progress(step, 100)
        return self


def test_figures_become_curves_and_are_passed_on_now_and_then(store, images) -> None:
    reports = Reports()
    assert execute(fit_job(Reporting(), images), store.root, "cpu", reports) == Outcome()
    curves = store.open("fit", "fit").meta["curves"]
    assert len(curves) == 100
    assert curves[3] == {"done": 4, "loss": 0.25, "rate": 0.5}
    assert 2 <= len(reports.reported) < 20
    assert reports.reported[0] == (1, 100, {"loss": 1.0, "rate": 0.5})
    assert reports.reported[-1] == (100, 100, {})


def test_a_job_gets_objects_of_its_own(store, images) -> None:
    detector = Adds()
    for key in ("first", "second"):
        made = done(fit_job(detector, images, key), store)
        assert json.loads((made / "state.json").read_text()) == {"fits_": 1}
    assert vars(detector) == {"scale": 1.0}


class Raises(Brightness):
    def fit(self, train, context) -> Self:
        raise ZeroDivisionError("no\nluck")


def test_an_exception_is_one_line_with_its_place_and_a_traceback(store, images) -> None:
    outcome = run(fit_job(Raises(), images), store)
    assert outcome.error.startswith("ZeroDivisionError: no luck (test_worker.py:")
    assert "Traceback" in outcome.trace
    assert not outcome.is_users
    assert store.find("fit", "fit") is None


@pytest.mark.parametrize(
    ("detector", "error"),
    [
        (ReturnsNan(), "PluginError: score() returned 1 scores of 4 that are NaN or infinite"),
        (Exits(), "SystemExit: bye"),
    ],
)
def test_a_detector_that_breaks_its_contract_is_an_outcome(store, images, detector, error) -> None:
    assert run(score_job(detector, images), store).error.startswith(error)


def test_what_the_user_did_wrong_is_told_apart(store, images) -> None:
    spec = {"classifier": Small(), "seed": 0, "precision": "float32", "weights": ()}
    store_labels(store, np.zeros(10, dtype=np.int64))
    job = Job(Ref("train", "t"), "t", spec, {"train": Ref("prepare", "dull")}, Resources(1, 0.0))
    outcome = run(job, store)
    assert outcome.is_users
    assert outcome.error.startswith("the ID training images have the labels [0]")


def store_labels(store: Store, labels: np.ndarray) -> None:
    with store.create("prepare", "dull") as draft:
        np.save(draft / "images.npy", IMAGES)
        np.save(draft / "labels.npy", labels)
        draft.meta.update(shape=[1, 6, 6], num_classes=10)


def test_an_input_that_is_gone_is_an_outcome(store) -> None:
    outcome = run(fit_job(Brightness(), Ref("prepare", "gone")), store)
    assert outcome.error.startswith("StoreError: ")


def test_seeds_do_not_depend_on_what_ran_before(store, images) -> None:
    class Global(Brightness):
        def fit(self, train, context) -> Self:
            self.drawn_ = float(torch.rand(()))
            return self

    states = []
    for key in ("first", "second"):
        made = done(fit_job(Global(), images, key), store)
        states.append((made / "state.json").read_text())
        torch.rand(5)
    assert states[0] == states[1]


def test_pools_of_libraries_are_bound_and_released() -> None:
    before = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    with bound_threads(1):
        assert all(pool["num_threads"] == 1 for pool in threadpool_info())
    after = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    assert after == before


def test_torch_is_bound_where_it_is_loaded() -> None:
    bind_torch(1)
    assert torch.get_num_threads() == 1
