"""Run jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.engine import Observer, Results
from oodbench.engine.worker import execute
from oodbench.plan import Job
from oodbench.store import Store


def run_inline(
    jobs: Sequence[Job], store: Store, device: str, observer: Observer, results: Results
) -> None:
    """Run jobs in their order; ``results`` is filled in.

    Raises:
        UserError: if the request or the data is at fault.
    """
    for job in jobs:
        if results.blocked(job):
            continue
        observer.started(job)
        outcome = execute(
            job,
            store.root,
            device,
            lambda done, total, figures, job=job: observer.progressed(job, done, total, figures),
        )
        observer.finished(job, outcome)
        results.settle(job, outcome)
