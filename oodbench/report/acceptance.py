"""Detectors whose share of accepted ID test images is far from what their threshold aims at."""

from __future__ import annotations

from collections.abc import Mapping

from oodbench.report.layout import clean, percent

TARGETS = {"acc95": 95, "acc99": 99}
"""The percentage of ID images that each measure's threshold is to accept."""

POINTS = 3
"""Percentage points by which a share may differ from its target without a footnote."""

DOUBLE_DAGGER = "‡"
"""Marks a share of ID test images that is further than `POINTS` from its target."""

Accepted = Mapping[tuple[str, str], float]
"""Shares of ID test images accepted, by detector and measure."""


def misses(measure: str, share: float) -> bool:
    """Return whether a share of ID test images is further than `POINTS` from its target."""
    target = TARGETS.get(measure)
    return target is not None and round(abs(100 * share - target), 9) > POINTS


def marks_of(measure: str, share: float) -> tuple[str, ...]:
    """Return the mark of a share of ID test images, if it needs one."""
    return (DOUBLE_DAGGER,) if misses(measure, share) else ()


def acceptance_note(accepted: Accepted) -> str:
    """Return a sentence that names the detectors off target; empty where there are none."""
    off: dict[str, list[str]] = {}
    for (detector, measure), share in accepted.items():
        if misses(measure, share):
            off.setdefault(measure, []).append(f"{detector} {percent(share)} %")
    if not off:
        return ""
    parts = [f"in place of {TARGETS[name]} %: {', '.join(own)}" for name, own in off.items()]
    return clean(
        f"More than {POINTS} percentage points from the target, so that Accuracy does not compare "
        f"with that of other detectors. ID test images accepted {'; '.join(parts)}."
    )
