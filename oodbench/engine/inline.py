"""Run jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from oodbench.engine import Observer, Results
from oodbench.engine.worker import execute
from oodbench.jobs import Job
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
        outcome = execute(job, store.root, device, partial(observer.progressed, job))
        observer.finished(job, outcome)
        results.settle(job, outcome)
