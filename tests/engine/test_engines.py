"""Ray and inline leave the same records; under Ray, a job outlives the process that ran it."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import sample_detectors as sample

import oodbench
from oodbench.hardware import count_cpus
from oodbench.plan.jobs import Job, Ref

TIMES = ["fit_seconds", "score_seconds"]


class Events:
    """An observer that keeps what it is told about each job."""

    def __init__(self) -> None:
        self.by_job: dict[Ref, list[str]] = {}

    def _add(self, job: Job, event: str) -> None:
        self.by_job.setdefault(job.ref, []).append(event)

    def planned(self, jobs) -> None:
        self.planned_jobs = jobs

    def started(self, job, **_) -> None:
        self._add(job, "started")

    def progressed(self, job, done, total, figures) -> None:
        assert 0 <= done <= total
        self._add(job, "progressed")

    def waiting(self, job) -> None:
        self._add(job, "waiting")

    def finished(self, job, outcome) -> None:
        self._add(job, "finished")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny: Path):
    """Run one request with both engines, each from an empty store; return runs and events."""
    folder = tmp_path_factory.mktemp("engines")
    events = {engine: Events() for engine in ("ray", "inline")}
    detectors = [
        sample.Confidence(),
        sample.Drawn(),
        sample.FirstOfTwo(),
        sample.RaisesInFit(),
        sample.WatchesThreads(),
        sample.DiesOnce(marker=str(folder / "died")),
    ]
    with pytest.MonkeyPatch.context() as patch:
        folder_of_detectors = str(Path(sample.__file__).parent)
        patch.setenv("PYTHONPATH", folder_of_detectors, prepend=os.pathsep)  # for the workers
        finished = {
            engine: oodbench.run(
                benchmark=str(tiny),
                detectors=detectors,
                seeds=2,
                device="cpu",
                engine=engine,
                store=folder / f"{engine}-store",
                out=folder / engine,
                data=folder / "data",
                observer=events[engine],
            )
            for engine in ("ray", "inline")
        }
    return finished, events


def test_the_records_are_identical(runs) -> None:
    finished, _ = runs
    frames = [finished[engine].records.drop(columns=TIMES) for engine in ("ray", "inline")]
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_the_scores_are_identical(runs) -> None:
    finished, _ = runs
    scores, predictions = (
        [getattr(finished[engine], kind)() for engine in ("ray", "inline")]
        for kind in ("scores", "predictions")
    )
    pd.testing.assert_frame_equal(*scores, check_exact=True)
    pd.testing.assert_frame_equal(*predictions, check_exact=True)


def test_a_failed_detector_loses_its_own_rows_alone(runs) -> None:
    records = runs[0]["ray"].records
    assert set(records[records["status"] == "failed"]["detector"]) == {"raises-in-fit"}


def test_a_job_whose_process_dies_is_run_again(runs) -> None:
    run = runs[0]["ray"]
    assert (run.directory.parent / "died").exists()
    assert set(run.records.set_index("detector").loc["dies-once", "status"]) == {"ok"}


@pytest.mark.parametrize("engine", ["ray", "inline"])
def test_a_job_has_as_many_threads_as_cpus(runs, engine: str) -> None:
    scores = runs[0][engine].scores()
    own = scores[scores["detector"] == "watches-threads"]["score"]
    assert own.unique() == pytest.approx([1 + min(count_cpus(), 4) / 1000])  # one in fit


def test_training_has_several_threads(runs) -> None:
    finished, _ = runs
    for engine in ("ray", "inline"):
        store = finished[engine].directory.parent / f"{engine}-store"
        (manifest,) = (store / "train").glob("*/artifact.json")
        assert f'"cpus": {min(count_cpus(), 4)}' in manifest.read_text()


@pytest.mark.parametrize("engine", ["ray", "inline"])
def test_every_job_is_told_of_to_its_end(runs, engine: str) -> None:
    finished, events = runs
    told = events[engine].by_job
    assert len(told) == finished[engine].info["jobs_run"] + 1  # and one failed
    for events_of_job in told.values():
        assert events_of_job[-1] == "finished"
        assert events_of_job.count("finished") == 1
        # under Ray, the news of a quick job may come after its end, and are not passed on then
        assert engine == "ray" or events_of_job[0] == "started"
