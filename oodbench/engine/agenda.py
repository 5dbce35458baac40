"""The jobs still to run, shared between runs so that none repeats another's work."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from oodbench.engine import Observer, Outcomes
from oodbench.engine.worker import Outcome
from oodbench.plan.jobs import Job, Ref
from oodbench.store.artifacts import Store
from oodbench.store.leases import POLL_SECONDS, Leases


class Agenda:
    """Jobs to be done, in a ``with`` block.

    A job is handed out once its inputs are there and no other run works on it; its lease is held
    until it is finished. What another run completed in the meantime is taken from the store.

    Args:
        jobs: the jobs, inputs before those that need them.
        store: where artifacts are.
        observer: told what happens, except that a job has started.
        results: what became of the jobs; filled in.
    """

    def __init__(
        self, jobs: Iterable[Job], store: Store, observer: Observer, results: Outcomes
    ) -> None:
        self._store = store
        self._observer = observer
        self._results = results
        self._leases = Leases(store.leases)
        self._waiting = {job.ref: job for job in jobs}
        self._unfinished = set(self._waiting)
        self._elsewhere: dict[Ref, Job] = {}
        self._told: set[Ref] = set()
        self._alone: set[Ref] = set()
        observer.planned(len(self._waiting))

    def __enter__(self) -> Self:
        self._leases.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leases.__exit__(kind, error, trace)

    @property
    def unfinished(self) -> bool:
        """Whether there are jobs that are not finished."""
        return bool(self._unfinished)

    def take(self, fits: Callable[[Job], bool] = lambda _: True) -> Job | None:
        """Return a job to start now; None if there is none at present.

        Args:
            fits: whether there is room for a job.

        Raises:
            StoreError: if a damaged artifact cannot be removed.
        """
        self._elsewhere = {}
        for job in list(self._waiting.values()):
            if self._results.blocked(job):
                del self._waiting[job.ref]
                self._unfinished.discard(job.ref)
            elif self._unfinished.isdisjoint(job.inputs.values()) and fits(job):
                if not self._leases.take(_name(job)):
                    self._elsewhere[job.ref] = job
                elif self._is_missing(job):
                    return dataclasses.replace(job, companions=self._companions(job))
        return None

    def _is_missing(self, job: Job) -> bool:
        """Take a job whose lease is held off the list; return whether it has to be done."""
        del self._waiting[job.ref]
        if self._store.find(*job.ref) is None:
            return True
        self.finish(job, Outcome(reused=True))
        return False

    def _companions(self, job: Job) -> tuple[Job, ...]:
        """Return the jobs to be done in the same pass as a job: those that nobody has begun."""
        if not job.passes or job.ref in self._alone:
            return ()
        together = [
            each
            for each in self._waiting.values()
            if each.passes == job.passes and each.ref not in self._alone
        ]
        return tuple(
            each for each in together if self._leases.take(_name(each)) and self._is_missing(each)
        )

    def wait(self) -> None:
        """Pause because other runs work on all jobs that could start; report each job once."""
        for ref, job in self._elsewhere.items():
            if ref not in self._told:
                self._told.add(ref)
                self._observer.waiting(job)
        time.sleep(POLL_SECONDS)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Take note of the end of a job that was handed out, and of its companions.

        If it failed, any of them may be to blame, and all are done again, each alone.

        Raises:
            UserError: if the request or the data is at fault.
        """
        if job.companions and outcome.error:
            for each in (job, *job.companions):
                self._leases.release(_name(each))
                self._alone.add(each.ref)
                self._waiting[each.ref] = dataclasses.replace(each, companions=())
            return
        for each, end in zip(job.companions, outcome.companions, strict=False):
            self.finish(each, end)
        self._unfinished.discard(job.ref)
        self._leases.release(_name(job))
        self._observer.finished(job, outcome)
        self._results.settle(job, outcome)


def _name(job: Job) -> str:
    return "-".join(job.ref)
