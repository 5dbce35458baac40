"""Run jobs one after another in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

    Torch draws the same numbers afterwards as if nothing had run, with the settings it had before.

    Raises:
        UserError: if the request or the data is at fault.
    """
    with _torch_kept(device), Agenda(jobs, store, observer, results) as agenda:
        while agenda.unfinished:
            job = agenda.take()
            if job is not None:
                observer.started(job)
                outcome = execute(job, store.root, device, partial(observer.progressed, job))
                agenda.finish(job, outcome)
            elif agenda.unfinished:
                agenda.wait()


@contextmanager
def _torch_kept(device: str) -> Iterator[None]:
    """Give torch its settings and the state of its generators back."""
    import torch

    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    gpus = range(torch.cuda.device_count()) if device == "cuda" else ()
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = tf32
