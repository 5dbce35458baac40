"""The Ray engine: jobs side by side, on this machine or a cluster that shares store and data."""

from __future__ import annotations

import logging
import math
import socket
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from oodbench.engine import Observer, Outcomes
from oodbench.engine.agenda import Agenda
from oodbench.engine.cluster import (
    Machines,
    connected,
    first_line,
    fitted_to_machines,
    given_address,
)
from oodbench.engine.plugins import codes_of, third_party_modules
from oodbench.engine.worker import Outcome, execute, took_too_long
from oodbench.errors import UserError, describe
from oodbench.plan.jobs import Job, Ref
from oodbench.registry.isolation import isolated
from oodbench.store.artifacts import Store

POLL_SECONDS = 0.2
LETTER_SECONDS = 10
"""How long the mailbox may take to hand over its letters."""

QUEUED = 2
"""Jobs that are handed to Ray at a time, as a multiple of what can run: none waits for us."""

RETRIES = 1
"""How often a job is started again whose worker was lost: a machine may be to blame, but what
happens twice is the job's own doing, and each further try costs the start of a worker."""

MACHINE_RETRIES = 4
"""How often when its whole machine was lost, as those that are lent for a while may be."""

_LOG = logging.getLogger(__name__)

Letter = tuple[Ref, int, int, dict[str, float]]
"""A report of progress: a job, done, total, figures."""


def run_ray(
    jobs: Sequence[Job],
    store: Store,
    device: str,
    observer: Observer,
    results: Outcomes,
    *,
    cpus: int,
    gpus: int,
    address: str | None = None,
    timeout: float | None = None,
) -> None:
    """Run jobs as soon as their inputs are there; ``results`` is filled in.

    Args:
        jobs: the jobs, inputs before those that need them.
        store: where artifacts are; on a cluster, all machines can reach it.
        device: ``"cpu"`` or ``"cuda"``.
        observer: told what happens.
        results: what became of the jobs.
        cpus: CPUs of this machine to use.
        gpus: GPUs of this machine to use.
        address: of a running cluster; None takes ``$RAY_ADDRESS``, and without that starts Ray on
            this machine for this run.
        timeout: seconds that a job may take; None for any number.

    Raises:
        UserError: if the cluster cannot be reached, is lost, has no machine for a job or one with
            other code, or the request or the data is at fault.
    """
    with connected(cpus, gpus, address, third_party_modules(jobs)) as ray:
        fitted = fitted_to_machines(jobs, ray.nodes())
        codes = codes_of(jobs) if given_address(address) else {}
        _Scheduler(ray, fitted, store, device, observer, results, timeout, codes).run()


class _Scheduler:
    def __init__(
        self,
        ray: Any,
        jobs: Sequence[Job],
        store: Store,
        device: str,
        observer: Observer,
        results: Outcomes,
        timeout: float | None = None,
        codes: Mapping[Ref, str] | None = None,
    ) -> None:
        self._ray = ray
        self._codes = codes or {}
        self._remote = ray.remote(_execute_remotely)
        self._mailbox = ray.remote(_Mailbox).options(num_cpus=0, max_restarts=-1).remote()
        self._location = store.location
        self._device = device
        self._observer = observer
        self._agenda = Agenda(jobs, store, observer, results)
        self._running: dict[Any, Job] = {}
        self._timeout = timeout
        self._started: dict[Ref, float] = {}
        self._overdue: set[Ref] = set()
        self._lost: Counter[tuple[Ref, bool]] = Counter()
        self._resources = ray.cluster_resources()
        self._machines = Machines(ray)

    def run(self) -> None:
        with self._agenda as agenda:
            while agenda.unfinished:
                self._machines.require(list(self._running.values()))
                while (job := agenda.take(self._has_room)) is not None:
                    self._submit(job)
                if self._running:
                    finished, _ = self._ray.wait(list(self._running), timeout=POLL_SECONDS)
                    self._pass_on_progress()
                    self._end_overdue()
                    for handle in finished:
                        self._settle(self._running.pop(handle), handle)
                elif agenda.unfinished:
                    agenda.wait()

    def _has_room(self, job: Job) -> bool:
        """Return whether a job would start soon; one that waits could be left to another run."""
        running = [each.resources for each in self._running.values()]
        cpus = sum(each.cpus for each in running)
        gpus = sum(each.gpus for each in running)
        return cpus < QUEUED * self._resources.get("CPU", 0) and (
            not job.resources.gpus or gpus < QUEUED * self._resources.get("GPU", 0)
        )

    def _submit(self, job: Job) -> None:
        """Start a job; only it fails if a plugin's object cannot be sent to another process."""
        options = {"num_cpus": job.resources.cpus, "num_gpus": job.resources.gpus}
        remote = self._remote.options(**options, max_retries=0)
        codes = [self._codes.get(each.ref, "") for each in (job, *job.companions)]
        try:
            with isolated():
                handle = remote.remote(job, self._location, self._device, self._mailbox, codes)
        except Exception as error:  # a third-party object may raise anything when it is pickled
            reason = describe(error.__cause__ or error)  # Ray's own message has many lines
            self._agenda.finish(
                job, Outcome(f"cannot be pickled: {reason}", traceback.format_exc())
            )
        else:
            self._running[handle] = job

    def _pass_on_progress(self) -> None:
        running = {job.ref: job for job in self._running.values()}
        for ref, done, total, figures in self._letters():
            job = running.get(ref)
            if job is None:
                continue  # a letter may arrive after its job has ended
            if ref not in self._started:  # by its first letter, or a later one if that was lost
                self._started[ref] = time.monotonic()
                self._observer.started(job)
            if total:
                self._observer.progressed(job, done, total, figures)

    def _end_overdue(self) -> None:
        """End the workers of jobs that take too long."""
        if self._timeout is None:
            return
        for handle, job in self._running.items():
            started = self._started.get(job.ref, math.inf)
            if job.ref not in self._overdue and time.monotonic() - started > self._timeout:
                self._overdue.add(job.ref)
                self._ray.cancel(handle, force=True)

    def _letters(self) -> list[Letter]:
        """Return the reports that came in; none if the mailbox is slow or lost."""
        try:
            letters: list[Letter] = self._ray.get(
                self._mailbox.take_all.remote(), timeout=LETTER_SECONDS
            )
        except self._ray.exceptions.RayError:
            return []
        return letters

    def _settle(self, job: Job, handle: Any) -> None:
        """Finish a job whose task has ended, or start it again if its worker was lost."""
        outcome = self._outcome(job, handle)
        self._started.pop(job.ref, None)
        if outcome is None:
            self._submit(job)
        else:
            self._agenda.finish(job, outcome)

    def _outcome(self, job: Job, handle: Any) -> Outcome | None:
        """Return the result of a task, or why it failed; None if it is to be tried again.

        Raises:
            LocalRayletDiedError: if the cluster is lost to this process, which is no job's doing.
            UserError: if the machine computes with other code.
        """
        try:
            outcome: Outcome = self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:  # before the job began
            if isinstance(error.cause, UserError):
                raise error.cause from error
            return Outcome(
                f"cannot be sent to another process: {describe(error.cause)}", str(error)
            )
        except self._ray.exceptions.LocalRayletDiedError:
            raise
        except self._ray.exceptions.RayError as error:
            if job.ref in self._overdue:
                return Outcome(took_too_long(self._timeout), str(error))
            with_machine = isinstance(error, self._ray.exceptions.NodeDiedError)
            self._lost[job.ref, with_machine] += 1
            times = self._lost[job.ref, with_machine]
            if times <= (MACHINE_RETRIES if with_machine else RETRIES):
                _LOG.info("%s: started again: %s", job.title, first_line(error))
                return None
            if isinstance(error, self._ray.exceptions.OutOfMemoryError):
                return Outcome("was ended because its machine ran out of memory", str(error))
            reason = f"its process was lost {times} times: {first_line(error)}"
            return Outcome(reason, str(error))
        return outcome


class _Mailbox:
    """Hold reports of progress until the scheduler takes them: a Ray actor."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []

    def put(self, letter: Letter) -> None:
        self._letters.append(letter)

    def take_all(self) -> list[Letter]:
        letters, self._letters = self._letters, []
        return letters


def _execute_remotely(
    job: Job, location: str, device: str, mailbox: Any, codes: Sequence[str]
) -> Outcome:
    """Run in a Ray worker; the first report, with a total of 0, says that the job begins.

    Nothing here waits for Ray: a task that waits lends its CPUs to another, and both then run on
    the same cores.

    Raises:
        UserError: if this machine has other code for the job and its companions than ``codes``,
            if any: what it computes would lie in the store under a key that is not its own.
    """
    known = codes_of((job, *job.companions)) if any(codes) else {}
    for each, code in zip((job, *job.companions), codes, strict=True):
        if code and code != known[each.ref]:
            raise UserError(
                f"machine {socket.gethostname()} of the Ray cluster has another version of "
                "oodbench, or of a library that its plugins use, than this one, so that its result "
                f"of '{each.title}' could differ; install the same versions on all machines"
            )

    def report(done: int, total: int, figures: dict[str, float]) -> None:
        mailbox.put.remote((job.ref, done, total, figures))

    report(0, 0, {})
    return execute(job, location, device, report)
