"""Run jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from oodbench.engine import Observer, Results
from oodbench.engine.agenda import Agenda
from oodbench.engine.worker import execute
from oodbench.jobs import Job
from oodbench.store import Store


def run_inline(
    jobs: Sequence[Job], store: Store, device: str, observer: Observer, results: Results
) -> None:
    """Run jobs in their order, except those that another run works on; ``results`` is filled in.

    Raises:
        UserError: if the request or the data is at fault.
    """
    with Agenda(jobs, store, observer, results) as agenda:
        while agenda.unfinished:
            job = agenda.take()
            if job is not None:
                observer.started(job)
                outcome = execute(job, store.root, device, partial(observer.progressed, job))
                agenda.finish(job, outcome)
            elif agenda.unfinished:
                agenda.wait()
