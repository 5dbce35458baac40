"""The probe of a detector: its inputs, given the jobs in which the detector scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from oodbench.plan.jobs import Job, Ref
from oodbench.plan.specs import ProbeSpec

SHARED = ("fit", "classifier")
"""The inputs of a score job that are the same for every set; the probe reads them once."""


def probe_of(
    scoring: Sequence[Job], required: Collection[Ref]
) -> tuple[ProbeSpec, dict[str, Ref], frozenset[str]]:
    """Return the spec of a probe, its inputs by role, and the roles that are optional.

    Roles that belong to one set end in a colon and the number of the set. A set that could not be
    scored is left out of the probe, unless it is required.

    Args:
        scoring: the jobs in which one detector, fitted once, scores every set of a run.
        required: those of them without which the detector has no row.
    """
    inputs = {role: ref for role, ref in scoring[0].inputs.items() if role in SHARED}
    optional: set[str] = set()
    for number, job in enumerate(scoring):
        own = {role: ref for role, ref in job.inputs.items() if role not in SHARED}
        placed = {f"{role}:{number}": ref for role, ref in {**own, "scores": job.ref}.items()}
        inputs |= placed
        if job.ref not in required:
            optional |= placed.keys()
    shared = scoring[0].spec
    spec: ProbeSpec = {
        "parts": [job.spec["part"] for job in scoring],
        "network": None,
        "detector": shared["detector"],
        "classifier": shared["classifier"],
        "seed": shared["seed"],
        "count": shared["count"],
        "selection_seed": shared["selection_seed"],
        "precision": shared["precision"],
    }
    return spec, inputs, frozenset(optional)
