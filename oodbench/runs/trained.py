"""The networks of a plan that need no training: in the store, or shipped with a plugin."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import shutil
from collections.abc import Iterable, Mapping

import numpy as np

from oodbench.engine.measuring import Measured, measure
from oodbench.hardware import count_cpus
from oodbench.identity.pretrained import TRAINED_ON, Weights, origin_of
from oodbench.plan.jobs import Job, Ref
from oodbench.runs.sizes import Sets
from oodbench.store.artifacts import Artifact, Store


def copy(artifact: Artifact, ref: Ref, store: Store) -> None:
    """Copy an artifact to another store, where it is found as another one."""
    with store.create(*ref) as draft:
        for name in artifact.files:
            shutil.copyfile(artifact / name, draft / name)
        draft.meta.update(artifact.meta)


class Trained:
    """Finds the networks of a plan that are in the store, and shipped weights that fit.

    Args:
        jobs: of the plan.
        store: where the artifacts of the user are.
        scratch: where others are made.
        sets: reads images.
        device: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self, jobs: Mapping[Ref, Job], store: Store, scratch: Store, sets: Sets, device: str
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._scratch = scratch
        self._sets = sets
        self.device = device

    def find(self, ref: Ref) -> Artifact | None:
        """Return an artifact if it is there."""
        return self._store.find(*ref) or self._scratch.find(*ref)

    def adopt(self, pending: Iterable[Job]) -> dict[Ref, Measured]:
        """Run the jobs that take shipped weights, and return what that took."""
        found = {}
        for job in pending:
            if self._may_fit(job):
                inputs = {
                    role: ref for role, ref in job.inputs.items() if role.startswith(TRAINED_ON)
                }
                given = {role: self._make(ref) for role, ref in inputs.items()}
                if _fits(job, given):
                    alone = dataclasses.replace(job, inputs=inputs)
                    found[job.ref] = measure(alone, self._scratch, self.device, 0, math.inf)
        return found

    def _may_fit(self, job: Job) -> bool:
        """Return whether there are shipped weights that were trained on such labels.

        Weights of this network for other images are told apart by that, without preparing any.
        """
        weights: tuple[Weights, ...] = job.spec.get("weights", ())
        if not weights:
            return False
        np.save(file := io.BytesIO(), self._sets.selected(self._jobs[job.inputs["train"]]))
        found = hashlib.sha256(file.getvalue()).hexdigest()
        inputs = (each.card["origin"]["inputs"] for each in weights)
        return any(each.get("train", {}).get("labels.npy") == found for each in inputs)

    def _make(self, ref: Ref) -> Artifact | None:
        """Return an artifact in the scratch store; images are prepared if they are not there."""
        if self._scratch.find(*ref) is None:
            if (known := self._store.find(*ref)) is not None:
                copy(known, ref, self._scratch)
            elif ref.stage == "prepare":
                measure(
                    self._jobs[ref].bounded(count_cpus()), self._scratch, self.device, 0, math.inf
                )
        return self._scratch.find(*ref)


def _fits(job: Job, given: Mapping[str, Artifact | None]) -> bool:
    """Return whether shipped weights of a job were trained on its very inputs."""
    inputs = {role: artifact for role, artifact in given.items() if artifact is not None}
    if len(inputs) < len(given):
        return False
    plugin = job.spec.get("trainable", job.spec["classifier"])
    origin = origin_of(plugin, job.spec["seed"], inputs)
    return any(weights.card["origin"] == origin for weights in job.spec["weights"])
