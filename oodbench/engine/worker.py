"""The execution of one job in this process, with exactly the threads that it was given."""

from __future__ import annotations

import copy
import functools
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

from oodbench.engine.memory import PeakMemory
from oodbench.errors import StoreError, UserError, describe
from oodbench.plan.jobs import Job
from oodbench.registry.isolation import isolated
from oodbench.stages import Companion, Work
from oodbench.store.artifacts import Artifact, Draft, Store
from oodbench.store.opening import open_store

REPORT_SECONDS = 0.2
"""Reports of progress that come faster than this are kept for the curves but not passed on."""

Report = Callable[[int, int, dict[str, float]], None]

Begin = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        error: one line; empty if the job is done.
        trace: the traceback that belongs to it.
        is_users: whether the user's request or data is at fault, not a plugin.
        reused: whether another run did the job.
        notes: what the user should know of the job, in a few words each.
        companions: what became of the job's companions, if itself is done.
        seconds: how long it took.
    """

    error: str = ""
    trace: str = ""
    is_users: bool = False
    reused: bool = False
    notes: tuple[str, ...] = ()
    companions: tuple[Outcome, ...] = ()
    seconds: float = field(default=0.0, compare=False)


def took_too_long(timeout: float | None) -> str:
    """Return the reason of a job that exceeded its time limit."""
    return f"took longer than {timeout:g} s (--timeout)"


def execute(job: Job, location: str | Path, device: str, report: Report) -> Outcome:
    """Run a job and put its artifact into the store; an exception becomes an `Outcome`.

    Afterwards the state of the process is as it was before.

    Args:
        job: the job; its inputs are in the store.
        location: of the store, see `open_store`.
        device: ``"cpu"`` or ``"cuda"``.
        report: told of progress as ``report(done, total, figures)``.
    """
    started = time.perf_counter()
    outcome = _attempt(job, location, device, report)
    return replace(outcome, seconds=time.perf_counter() - started)


def _attempt(job: Job, location: str | Path, device: str, report: Report) -> Outcome:
    try:
        store = open_store(location)
        draft, companions = perform(job, store, device, Curves(report))
    except UserError as error:
        # what a detector refuses is an error of the detector
        is_users = job.ref.stage in ("prepare", "rows", "arrays", "train")
        return Outcome(str(error), traceback.format_exc(), is_users)
    except Exception as error:  # a plugin loses its own rows alone, whatever it raises
        return Outcome(describe(error), traceback.format_exc())
    ends = tuple(_end_of(each) for each in companions)
    return Outcome(notes=tuple(draft.meta.get("notes", ())), companions=ends)


def perform(
    job: Job, store: Store, device: str, curves: Curves, begin: Begin = lambda _: None
) -> tuple[Draft, list[Companion]]:
    """Run a job and put its artifact into the store; return what was made of it and companions.

    Args:
        job: the job; its inputs are in the store.
        store: the store.
        device: ``"cpu"`` or ``"cuda"``.
        curves: takes the reports of progress.
        begin: is given the arguments of the stage, which are a copy of the job's, before it runs.

    Raises:
        Exception: whatever the stage raises; nothing is put into the store then.
    """
    device = device if job.resources.gpus else "cpu"
    started = time.perf_counter()
    stage = importlib.import_module(f"oodbench.stages.{job.ref.stage}")
    with isolated(), bound_threads(job.resources.cpus):
        spec = copy.deepcopy(job.spec)  # no job sees what another left on an object
        begin(spec)
        bind_torch(job.resources.cpus)
        inputs = _open_inputs(job, store)
        with ExitStack() as stack:
            companions = [
                Companion(copy.deepcopy(each.spec), stack.enter_context(store.create(*each.ref)))
                for each in job.companions
            ]
            draft = curves.draft = stack.enter_context(store.create(*job.ref))
            # what was made without an input is made again once that is there
            draft.keep = inputs.keys() == job.inputs.keys()
            checkpoint = store.checkpoint(*job.ref)
            cpus = job.resources.cpus
            work = Work(inputs, draft, device, checkpoint, curves, companions, cpus)
            with PeakMemory(device) as peak:
                stage.run(spec, work)
            draft.meta.update(peak.figures, curves=curves.points)
            drafts = [draft, *(each.draft for each in companions)]
            for each, made in zip((job, *job.companions), drafts, strict=True):
                made.meta.update(
                    title=each.title,
                    seconds=time.perf_counter() - started,
                    finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    device=device,
                    cpus=cpus,
                )
        checkpoint.unlink(missing_ok=True)
    return draft, companions


def _end_of(companion: Companion) -> Outcome:
    """Return what became of a companion of a job that is done."""
    error = companion.error
    if error is None:
        return Outcome()
    reason = str(error) if isinstance(error, UserError) else describe(error)
    return Outcome(reason, "".join(traceback.format_exception(error)))


def _open_inputs(job: Job, store: Store) -> dict[str, Artifact]:
    """Return the artifacts that a job reads, by role; optional ones only if they were made."""
    inputs = {}
    for role, ref in job.inputs.items():
        try:
            inputs[role] = store.open(*ref)
        except StoreError:
            if role not in job.optional:
                raise
    return inputs


class Curves:
    """The training curves of a job; reports are passed on at a readable rate."""

    def __init__(self, report: Report) -> None:
        self.points: list[dict[str, float]] = []
        self.draft: Draft | None = None
        self._report = report
        self._reported = 0.0

    def __call__(self, done: int, total: int, **figures: float) -> None:
        """Take note of a report."""
        figures = {name: float(value) for name, value in figures.items()}  # tensors too
        if figures:
            self.points.append({"done": done, **figures})
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS or done >= total:
            self._reported = now
            self._report(done, total, figures)
            if self.draft is not None:
                self.draft.show_life()


@contextmanager
def bound_threads(threads: int) -> Iterator[None]:
    """Limit every thread pool in this process, and those of libraries loaded in the block.

    Two busy processes with more threads than cores slow each other down many times over.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        with _thread_pools(len(sys.modules)).limit(limits=threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@functools.lru_cache(maxsize=1)
def _thread_pools(modules: int) -> ThreadpoolController:  # noqa: ARG001 (it tells when to look again)
    """Return the thread pools of this process, looked for again when modules have been imported."""
    return ThreadpoolController()


def bind_torch(threads: int) -> None:
    """Limit torch's own threads, and have float32 be float32, if torch is loaded."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
        # convolutions on a GPU would round what they multiply to 10 bits (TF32)
        torch.backends.cudnn.allow_tf32 = False
