"""Ray, started here or on a cluster: connecting to it, and fitting jobs to its machines."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from oodbench.errors import UserError
from oodbench.plan.jobs import Job

REACH_SECONDS = 10
"""How long a cluster may take to answer at all."""

LOOK_SECONDS = 5
"""Time between two looks at the head of a cluster."""

LOST_SECONDS = 25
"""How long the head may be out of reach, as while it is started again. After a minute Ray ends the
whole process, without an exception."""

UNSUITED_SECONDS = 600
"""How long a job may be without any machine that suits it, as while lost ones are replaced."""

_LOG = logging.getLogger(__name__)


@contextmanager
def connected(
    cpus: int, gpus: int, address: str | None, modules: Sequence[ModuleType] = ()
) -> Iterator[Any]:
    """Yield Ray, connected to a cluster or started here, for as long as the block takes.

    Args:
        cpus: CPUs of this machine to use.
        gpus: GPUs of this machine to use.
        address: of a running cluster; None takes ``$RAY_ADDRESS``, and without that starts Ray on
            this machine.
        modules: modules and packages to be sent to the machines of a cluster, which may not have
            them installed.

    Raises:
        UserError: if Ray cannot be started or reached, or is lost.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    address = given_address(address)
    ours = not ray.is_initialized()
    with _messages_logged():
        if ours:
            _start(ray, cpus, gpus, address, modules)
        try:
            yield ray
        except ray.exceptions.RayError as error:
            raise UserError(
                f"Ray was lost: {first_line(error)}; the same command resumes from here, and "
                "--engine inline works without Ray"
            ) from error
        finally:
            if ours:
                ray.shutdown()


def given_address(address: str | None) -> str | None:
    """Return the address of the cluster that was asked for; None for this machine alone."""
    return address or os.environ.get("RAY_ADDRESS")


def _start(
    ray: Any, cpus: int, gpus: int, address: str | None, modules: Sequence[ModuleType]
) -> None:
    given: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus}
    if address:
        given = {"runtime_env": {"py_modules": list(modules)}} if modules else {}
    try:
        _try_address(address or "")
        ray.init(
            address=address or "local",  # None would join whatever cluster was started here
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            job_config=_job_config(ray),
            **given,
        )
    except Exception as error:  # Ray raises anything, as when its processes start too slowly
        where = f"reached at {address}" if address else "started on this machine"
        raise UserError(
            f"Ray cannot be {where}: {first_line(error)}; --engine inline does without"
        ) from error


def _job_config(ray: Any) -> Any:
    """Return what has workers import from no folder that this process does not import from.

    Ray has them search the working directory first, where a file called as a module may lie.
    """

    class JobConfig(ray.job_config.JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # or Ray would add the folder of the script and the working directory

    known = [str(Path(folder).resolve()) for folder in sys.path]
    folders = (Path(sys.argv[0]).resolve().parent, Path.cwd())
    return JobConfig(
        _py_driver_sys_path=[str(folder) for folder in folders if str(folder) in known]
    )


def first_line(error: Exception) -> str:
    """Return the first line of an exception of Ray's, which has many."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".;: ") if lines else type(error).__name__


def _try_address(address: str) -> None:
    """Raise OSError if nothing listens at ``host:port``, which takes Ray minutes to find out."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()


class Machines:
    """The machines of a cluster and its head, watched during a run.

    Args:
        ray: Ray, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._address = ray.get_runtime_context().gcs_address
        self._looked = time.monotonic()
        self._without_head: float | None = None
        self._unsuited: float | None = None

    def require(self, jobs: Sequence[Job]) -> None:
        """Look now and then whether jobs that were given to Ray can start.

        Raises:
            RaySystemError: if the head has been out of reach for `LOST_SECONDS`.
            UserError: if for `UNSUITED_SECONDS` no machine has been there for one of the jobs.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            _try_address(self._address)
        except OSError as error:
            self._without_head = self._without_head or now
            if now - self._without_head > LOST_SECONDS:
                lost = f"its head at {self._address} is out of reach"
                raise self._ray.exceptions.RaySystemError(lost) from error
            return
        self._without_head = None
        machines = _machines(self._ray.nodes())
        unsuited = [
            job
            for job in jobs
            if not any(
                cpus >= job.resources.cpus and gpus >= job.resources.gpus for cpus, gpus in machines
            )
        ]
        self._unsuited = (self._unsuited or now) if unsuited else None
        if self._unsuited is not None and now - self._unsuited > UNSUITED_SECONDS:
            needed = unsuited[0].resources
            raise UserError(
                f"the Ray cluster has no machine left with the {needed.cpus} CPUs and "
                f"{needed.gpus:g} GPUs that '{unsuited[0].title}' asks for; the same command "
                "resumes from here, on this cluster or another"
            )


@contextmanager
def _messages_logged() -> Iterator[None]:
    """Log what the processes of a cluster announce, such as the last lines of one that was lost.

    Ray prints that on the standard output, among the user's own, and no setting prevents it. What
    it means for a job is an exception besides.
    """
    worker: Any = sys.modules["ray._private.worker"]
    printing = worker.print_to_stdstream

    def log(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
        _LOG.info("Ray: %s", "\n".join(data["lines"]))

    worker.print_to_stdstream = log
    try:
        yield
    finally:
        worker.print_to_stdstream = printing


def fitted_to_machines(jobs: Sequence[Job], nodes: Sequence[Mapping[str, Any]]) -> list[Job]:
    """Return jobs with the CPUs of the smallest machine that has the GPUs they ask for.

    So each of these machines can run them, and what they compute is the same on all.

    Args:
        jobs: the jobs.
        nodes: the machines, as Ray describes them.

    Raises:
        UserError: if a job would wait for ever, as no machine has a CPU or the GPUs for it.
    """
    machines = _machines(nodes)
    fitted = []
    for job in jobs:
        suited = [cpus for cpus, gpus in machines if cpus and gpus >= job.resources.gpus]
        if not suited:
            most = max((gpus for cpus, gpus in machines if cpus), default=0.0)
            raise UserError(
                f"'{job.title}' asks for 1 CPU and {job.resources.gpus:g} GPUs, and "
                f"{len(machines)} machines of the Ray cluster have {sum(c for c, _ in machines)} "
                f"CPUs, and {most:g} GPUs at most; add machines to it, compute with --device cpu, "
                "or use --engine inline"
            )
        fitted.append(job.bounded(min(suited)))
    return fitted


def _machines(nodes: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the CPUs and GPUs of each machine that is there, as Ray describes them."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    return [(int(each.get("CPU", 0)), each.get("GPU", 0.0)) for each in resources]
