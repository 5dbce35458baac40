"""Remarks on detectors that their artifacts hold: what fits found, and which layers were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oodbench.plan.jobs import Plan, Ref
from oodbench.store.artifacts import Artifact


def remarks_of(plan: Plan, made: Mapping[Ref, Artifact]) -> dict[str, list[str]]:
    """Return the sentences on each detector, each once, by its name.

    Args:
        plan: the jobs of a run.
        made: the artifacts that there are.
    """
    found: dict[str, list[str]] = {}
    for scored in plan.scored:
        said = found.setdefault(scored.detector, [])
        inputs = plan.jobs[scored.score].inputs
        if (fit := made.get(inputs["fit"]) if "fit" in inputs else None) is not None:
            said += [text for text in fit.meta.get("remarks", ()) if text not in said]
        if (reduced := made.get(inputs["reduced"]) if "reduced" in inputs else None) is not None:
            said += [text for text in _layers(reduced) if text not in said]
    return found


def _layers(reduced: Artifact) -> Iterator[str]:
    """Yield a sentence on the layers that were read."""
    shapes = reduced.meta["layers"].items()
    listed = ", ".join(f"{name} ({'x'.join(map(str, shape))})" for name, shape in shapes)
    whose = "a rule finds" if reduced.meta["by_rule"] else "the classifier names"
    yield f"Layers that {whose}: {listed}."
