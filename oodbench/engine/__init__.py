"""The engines, which run the jobs of a plan that are not in the store yet.

A failed job fails those that depend on it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from oodbench.engine.worker import Outcome
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Plan, Ref
from oodbench.store.artifacts import Store


class Observer(Protocol):
    """An observer of running jobs."""

    def planned(self, jobs: int) -> None:
        """Take note of a number of jobs to be run."""

    def remarked(self, text: str) -> None:
        """Take note of a remark on the run as a whole, a sentence."""

    def started(self, job: Job) -> None:
        """Take note that a job begins."""

    def progressed(self, job: Job, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Take note of how far a job is."""

    def waiting(self, job: Job) -> None:
        """Take note that a job waits for another run, which works on it."""

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Take note that a job ended."""


@dataclass
class Outcomes:
    """What became of the jobs of a plan.

    Attributes:
        reused: jobs whose artifacts were in the store, or that another run did meanwhile.
        done: jobs that this run did.
        failed: jobs that failed themselves.
        blamed: for each job that could not be done, the failed job that is the reason.
    """

    reused: set[Ref] = field(default_factory=set)
    done: set[Ref] = field(default_factory=set)
    failed: dict[Ref, Outcome] = field(default_factory=dict)
    blamed: dict[Ref, Ref] = field(default_factory=dict)

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Record the end of a job.

        Raises:
            UserError: if the request or the data is at fault: then no job has a meaning.
        """
        if outcome.is_users and job.is_vital:
            raise UserError(outcome.error)
        if outcome.error:
            self.failed[job.ref] = outcome
            self.blamed[job.ref] = job.ref
        elif outcome.reused:
            self.reused.add(job.ref)
        else:
            self.done.add(job.ref)

    def blocked(self, job: Job) -> bool:
        """Return whether an input that a job cannot do without failed, and record that if so."""
        for ref in job.required.values():
            if ref in self.blamed:
                self.blamed[job.ref] = self.blamed[ref]
                return True
        return False


def find_pending(plan: Plan, store: Store, targets: Iterable[Ref]) -> tuple[list[Job], set[Ref]]:
    """Return the jobs to run for the targets, in order, and those found in the store.

    A job whose artifact nobody needs any more, because all that follows from it is there, is
    neither run nor looked for.
    """
    pending: set[Ref] = set()
    found: set[Ref] = set()
    waiting = list(targets)
    while waiting:
        ref = waiting.pop()
        if ref in pending or ref in found:
            continue
        if store.find(*ref) is not None:
            found.add(ref)
        else:
            pending.add(ref)
            waiting.extend(plan.jobs[ref].inputs.values())
    return [job for ref, job in plan.jobs.items() if ref in pending], found
