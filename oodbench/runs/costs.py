"""What each detector of a run cost, from the artifacts of its jobs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from safetensors import safe_open

from oodbench.errors import StoreError
from oodbench.plan.jobs import Job, Plan, Ref, Scored
from oodbench.store.artifacts import Artifact, Store

Costs = dict[str, float | None]
"""Figures by name; None where one was not measured.

* ``peak_memory``, ``peak_gpu_memory``: most bytes that the process had in memory, and torch on the
  GPU, while the detector and its parts were fitted and while it scored;
* ``parameters``: numbers that the fitted detector keeps;
* ``forward_passes``: how often an image passes through the classifier to be scored: once if the
  detector uses its outputs, which all detectors share, and as often as the detector calls it.
"""


def costs_of(plan: Plan, store: Store, blamed: set[Ref]) -> dict[str, Costs]:
    """Return the costs of each detector that scored every set, by its name.

    Args:
        plan: the jobs of the run.
        store: where their artifacts are.
        blamed: jobs that were not done.
    """
    by_detector: dict[str, list[Scored]] = {}
    for scored in plan.scored:
        by_detector.setdefault(scored.detector, []).append(scored)
    return {
        name: _costs([plan.jobs[each.score] for each in own], plan, store)
        for name, own in by_detector.items()
        if not any(each.score in blamed or each.probe in blamed for each in own)
    }


def classifier_parameters(plan: Plan, store: Store) -> int | None:
    """Return how many numbers the classifier's weights are; None if they are not in the store."""
    refs = (ref for ref in plan.jobs if ref.stage == "train")
    return next((found for ref in refs if (found := _count(_find(ref, store))) is not None), None)


def _costs(jobs: list[Job], plan: Plan, store: Store) -> Costs:
    """Return the costs of a detector, given the jobs in which it scored."""
    scores = [store.open(*job.ref) for job in jobs]
    fits = {job.inputs["fit"] for job in jobs if "fit" in job.inputs}
    work = [*scores, *(_find(ref, store) for fit in fits for ref in _fitted(fit, plan))]
    images = sum(len(np.load(each / "scores.npy")) for each in scores)
    called = sum(each.meta["forwarded"] for each in scores)
    shared = any({"extract", "reduced"} & job.inputs.keys() for job in jobs)
    return {
        "peak_memory": _most(work, "peak_memory"),
        "peak_gpu_memory": _most(work, "peak_gpu_memory"),
        "parameters": largest([_count(_find(fit, store)) for fit in fits]) if fits else 0,
        "forward_passes": shared + (called / images if images else 0.0),
    }


def _fitted(fit: Ref, plan: Plan) -> Iterator[Ref]:
    """Yield a fit and those of its parts."""
    yield fit
    for role, ref in plan.jobs[fit].inputs.items():
        if role.startswith("part:"):
            yield from _fitted(ref, plan)


def _find(ref: Ref, store: Store) -> Artifact | None:
    """Return an artifact; None if it was removed since what follows from it was computed."""
    try:
        return store.open(*ref)
    except StoreError:
        return None


def _most(artifacts: Iterable[Artifact | None], name: str) -> float | None:
    """Return the largest figure of some jobs; None if one has none, or took shipped weights."""
    return largest(
        [
            None if each is None or "shipped" in each.meta else each.meta.get(name)
            for each in artifacts
        ]
    )


def largest(values: Collection[float | None]) -> float | None:
    """Return the largest of some figures; None if one is not known, or there are none."""
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _count(weights: Artifact | None) -> int | None:
    """Return how many numbers the tensors of a fitted detector, or of a classifier, hold.

    None if they are not in the store, or damaged.
    """
    if weights is None or not weights.is_sound():
        return None
    count = 0
    for name in weights.files:
        if name.endswith(".safetensors"):
            with safe_open(weights / name, "numpy") as file:
                shapes = [file.get_slice(each).get_shape() for each in file.keys()]  # noqa: SIM118
                count += sum(math.prod(shape) for shape in shapes)
    return count
