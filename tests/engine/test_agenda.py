"""A run waits for the jobs that another one works on, and takes over what that one leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from oodbench.engine import Outcomes
from oodbench.engine.agenda import Agenda
from oodbench.engine.progress import Progress
from oodbench.engine.worker import Outcome
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.store.artifacts import Store

FIRST = Job(Ref("fit", "first"), "first", {}, {}, Resources(1, 0.0))
AFTER = Job(Ref("score", "after"), "after", {}, {"fit": FIRST.ref}, Resources(1, 0.0))
OTHER = Job(Ref("fit", "other"), "other", {}, {}, Resources(1, 0.0))
JOBS = [FIRST, AFTER, OTHER]


class Watches(Progress):
    """Keeps what happened to which job."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[str] = []

    def planned(self, jobs: int) -> None:
        pass

    def waiting(self, job: Job) -> None:
        self.told.append(f"waiting {job.title}")

    def finished(self, job: Job, outcome: Outcome) -> None:
        self.told.append(f"{'reused' if outcome.reused else 'finished'} {job.title}")


class Run:
    """The agenda of one run, what became of its jobs, and what it was told."""

    def __init__(self, store: Store, jobs: Sequence[Job] = JOBS) -> None:
        self.store, self.results, self.observer = store, Outcomes(), Watches()
        self.agenda = Agenda(jobs, store, self.observer, self.results)

    def complete(self, job: Job) -> None:
        with self.store.create(*job.ref):
            pass
        self.agenda.finish(job, Outcome())


@pytest.fixture
def runs(tmp_path: Path):
    """Return two runs of the same jobs that share a store."""
    one, two = (Run(Store(tmp_path / "store")) for _ in range(2))
    with one.agenda, two.agenda:
        yield one, two


def test_a_job_is_handed_out_once_its_inputs_are_there(runs) -> None:
    one, _ = runs
    assert one.agenda.take() == FIRST
    assert one.agenda.take() == OTHER
    assert one.agenda.take() is None
    one.complete(FIRST)
    assert one.agenda.take() == AFTER


def test_two_runs_share_the_jobs_out(runs) -> None:
    one, two = runs
    assert one.agenda.take() == FIRST
    assert two.agenda.take() == OTHER
    assert two.agenda.take() is None
    one.complete(FIRST)
    assert two.agenda.take() == AFTER
    for job in (AFTER, OTHER):
        two.complete(job)
    assert one.agenda.take() is None
    assert not one.agenda.unfinished
    assert not two.agenda.unfinished
    assert one.results == Outcomes(done={FIRST.ref}, reused={AFTER.ref, OTHER.ref})
    assert two.results == Outcomes(done={AFTER.ref, OTHER.ref}, reused={FIRST.ref})
    assert one.observer.told == ["finished first", "reused after", "reused other"]


def test_it_is_said_once_what_a_run_waits_for(runs) -> None:
    one, two = runs
    one.agenda.take()
    one.agenda.take()
    assert two.agenda.take() is None
    two.agenda.wait()
    two.agenda.wait()
    assert two.observer.told == ["waiting first", "waiting other"]


def test_what_fails_in_one_run_another_tries_itself(runs) -> None:
    one, two = runs
    one.agenda.take()
    one.agenda.finish(FIRST, Outcome("no memory"))
    assert two.agenda.take() == FIRST
    two.complete(FIRST)
    assert two.agenda.take() == AFTER
    assert one.agenda.take() == OTHER
    assert set(one.results.blamed) == {FIRST.ref, AFTER.ref}
    assert not two.results.blamed


def test_a_job_without_room_is_left_to_other_runs(runs) -> None:
    one, two = runs
    assert one.agenda.take(lambda job: job is not FIRST) == OTHER
    assert two.agenda.take() == FIRST


def test_where_there_are_no_leases_both_runs_do_everything(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.leases.write_text("in the way")
    for run in (Run(store), Run(store)):
        with run.agenda:
            assert run.agenda.take() == FIRST


PASS = [
    Job(Ref(stage, key), key, {}, {}, Resources(1, 0.0), passes=passes)
    for stage, key, passes in (
        ("extract", "logits", "test"),
        ("reduce", "gram", "test"),
        ("reduce", "rest", "train"),
        ("reduce", "nac", "test"),
    )
]
LOGITS, GRAM, REST, NAC = PASS


def test_what_one_pass_yields_is_handed_out_together(tmp_path: Path) -> None:
    run = Run(Store(tmp_path / "store"), PASS)
    with run.agenda as agenda:
        job = agenda.take()
        assert job == dataclasses.replace(LOGITS, companions=(GRAM, NAC))
        assert agenda.take() == REST
        agenda.finish(job, Outcome(companions=(Outcome(), Outcome("no idea"))))
        agenda.finish(REST, Outcome())
        assert not agenda.unfinished
    assert run.results.done == {LOGITS.ref, GRAM.ref, REST.ref}
    assert run.results.failed == {NAC.ref: Outcome("no idea")}


def test_what_is_in_the_store_is_no_companion(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for job in (LOGITS, NAC):
        with store.create(*job.ref):
            pass
    run = Run(store, PASS)
    with run.agenda as agenda:
        assert agenda.take() == GRAM
    assert run.results.reused == {LOGITS.ref, NAC.ref}


def test_what_another_run_works_on_is_no_companion(tmp_path: Path) -> None:
    one, two = (Run(Store(tmp_path / "store"), jobs) for jobs in ([NAC], PASS))
    with one.agenda, two.agenda:
        assert one.agenda.take() == NAC
        assert two.agenda.take() == dataclasses.replace(LOGITS, companions=(GRAM,))


def test_where_a_pass_is_lost_each_of_its_jobs_is_done_alone(tmp_path: Path) -> None:
    run = Run(Store(tmp_path / "store"), [LOGITS, GRAM])
    with run.agenda as agenda:
        agenda.finish(agenda.take(), Outcome("its process was ended by SIGSEGV"))
        assert agenda.take() == LOGITS
        agenda.finish(LOGITS, Outcome())
        assert agenda.take() == GRAM
        agenda.finish(GRAM, Outcome("its process was ended by SIGSEGV"))
        assert not agenda.unfinished
    assert run.results.done == {LOGITS.ref}
    assert run.results.blamed == {GRAM.ref: GRAM.ref}
