"""Trials side by side with Ray Tune, on this machine or a cluster that shares the store."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from oodbench.engine import Observer, Outcomes
from oodbench.engine.cluster import connected
from oodbench.engine.inline import run_inline
from oodbench.engine.plugins import third_party_modules
from oodbench.engine.progress import Progress
from oodbench.engine.worker import Outcome
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.request.request import Request
from oodbench.store.artifacts import Store
from oodbench.store.opening import open_store
from oodbench.store.paths import is_remote
from oodbench.tuning.trials import Trial

ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # or paths that a user gave would mean something else
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # or an interrupted search would end as if complete
    "RAY_AIR_NEW_OUTPUT": "0",  # or it would print much, of folders that are gone by then
}
"""The environment variables that Ray Tune needs before it is started."""


def run_trials(
    trials: Sequence[Trial],
    request: Request,
    store: Store,
    device: str,
    address: str | None,
    observer: Observer,
) -> dict[str, str]:
    """Run trials, each with one CPU.

    Args:
        trials: what they share is in the store.
        request: says how many CPUs and GPUs of this machine to use.
        store: where artifacts are; on a cluster, a folder that all machines share.
        device: ``"cpu"`` or ``"cuda"``.
        address: of a running cluster; None starts Ray on this machine.
        observer: told what happens.

    Returns:
        Why trials failed, by the labels of their candidates.

    Raises:
        UserError: if the cluster cannot be reached, or its machines cannot share the store.
    """
    if not trials:
        return {}
    if is_remote(store.location) and (address or os.environ.get("RAY_ADDRESS")):
        raise UserError(
            f"Ray Tune cannot use the store '{store}' on a cluster; name a folder that all "
            "machines share, or use --engine inline"
        )
    os.environ.update(ENVIRONMENT)
    known = {trial.candidate.label: _on_one_cpu(trial) for trial in trials}
    whole = Job(Ref("tune", "trials"), f"{len(known)} trials", {}, {}, Resources(1, 0.0))
    jobs = [job for trial in trials for job in trial.jobs]
    gpus = max(job.resources.gpus for job in jobs)
    with (
        connected(request.cpus, request.gpus, address, third_party_modules(jobs)),
        tempfile.TemporaryDirectory(dir=store.root.resolve() / "tmp") as folder,
    ):
        from ray import tune

        attempt = tune.with_parameters(
            _attempt, trials=known, location=store.location, device=device
        )
        tuner = tune.Tuner(
            tune.with_resources(attempt, {"cpu": 1, "gpu": gpus}),
            param_space={"candidate": tune.grid_search(list(known))},
            # a process for each trial would spend seconds on importing torch
            tune_config=tune.TuneConfig(metric="auroc", mode="max", reuse_actors=True),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=folder,
                verbose=0,
                callbacks=[_told(observer)],
            ),
        )
        observer.planned(1 + len(known))
        observer.started(whole)
        began = time.monotonic()
        grid = tuner.fit()
        found = [grid[number] for number in range(len(grid))]
        observer.finished(whole, Outcome(seconds=time.monotonic() - began))
    reasons = {label: _reason(result) for label, result in zip(known, found, strict=True)}
    return {label: reason for label, reason in reasons.items() if reason}


def _told(observer: Observer) -> Any:
    """Return what Ray Tune calls at the end of each trial, to tell an observer."""
    from ray import tune

    class Told(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self._tell(trial, str(trial.last_result.get("failure", "")))

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self._tell(trial, "its process was lost")

        def _tell(self, trial: Any, error: str) -> None:
            label = str(trial.config["candidate"])
            job = Job(Ref("tune", label), f"try {label}", {}, {}, Resources(1, 0.0))
            seconds = float(trial.last_result.get("time_total_s", 0.0))
            observer.finished(job, Outcome(error, seconds=seconds))

        def __reduce__(self) -> tuple[Any, ...]:
            """Be saved as what does nothing: the search is not gone on with by Ray Tune."""
            return tune.Callback, ()

    return Told()


def _on_one_cpu(trial: Trial) -> Trial:
    jobs = [
        dataclasses.replace(job, resources=Resources(1, job.resources.gpus)) for job in trial.jobs
    ]
    return dataclasses.replace(trial, jobs=jobs)


def _attempt(config: dict[str, str], trials: dict[str, Trial], location: str, device: str) -> None:
    """Run one trial in a Ray worker; of one that fails, the AUROC is reported as 0."""
    from ray import tune

    trial = trials[config["candidate"]]
    store = open_store(location)
    results = Outcomes()
    run_inline(trial.jobs, store, device, Progress(quiet=True), results)
    failure = trial.why_failed(results)
    found = {} if failure else trial.measure(store)
    mean = sum(found.values()) / len(found) if found else 0.0
    tune.report({"auroc": mean, "failure": failure})


def _reason(result: Any) -> str:
    """Return why a trial failed; empty if it did not."""
    if result.error is not None:  # its process was lost
        return f"its process was lost: {str(result.error).strip().splitlines()[-1]}"
    return str(result.metrics["failure"])
