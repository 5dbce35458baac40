"""The inline engine: one job after another, those of third-party plugins in another process.

So a third-party plugin that crashes, hangs or takes all memory loses its own rows alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from oodbench.engine import Observer, Outcomes
from oodbench.engine.agenda import Agenda
from oodbench.engine.child import Child
from oodbench.engine.plugins import uses_shipped_alone
from oodbench.engine.worker import execute
from oodbench.hardware import count_cpus
from oodbench.plan.jobs import Job
from oodbench.store.artifacts import Store

IN_PROCESS = "OODBENCH_IN_PROCESS"
"""The environment variable that, set to 1, keeps all jobs in this process, for debuggers."""


def run_inline(
    jobs: Sequence[Job],
    store: Store,
    device: str,
    observer: Observer,
    results: Outcomes,
    timeout: float | None = None,
) -> None:
    """Run jobs in their order, except those that another run works on; ``results`` is filled in.

    Args:
        jobs: the jobs, inputs before those that need them.
        store: where artifacts are.
        device: ``"cpu"`` or ``"cuda"``.
        observer: told what happens.
        results: what became of the jobs.
        timeout: seconds that a job may take; with a limit, all jobs run in the other process.

    Raises:
        UserError: if the request or the data is at fault.
    """
    cpus = count_cpus()
    jobs = [job.bounded(cpus) for job in jobs]
    in_process = os.environ.get(IN_PROCESS) == "1" and timeout is None
    with Child(timeout) as child, Agenda(jobs, store, observer, results) as agenda:
        while agenda.unfinished:
            job = agenda.take()
            if job is not None:
                observer.started(job)
                apart = not in_process and (timeout is not None or not uses_shipped_alone(job))
                run = child.execute if apart else execute
                outcome = run(job, store.location, device, partial(observer.progressed, job))
                agenda.finish(job, outcome)
            elif agenda.unfinished:
                agenda.wait()
