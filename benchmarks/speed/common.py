"""Share what the speed scripts have in common: spreads, hardware and versions, files of figures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from oodbench import hardware
from oodbench.runs.versions import versions

Figures = dict[str, float | int | str]


def spread(name: str, seconds: Sequence[float]) -> Figures:
    """Return the median, minimum and maximum of repeated timings, as figures called by name."""
    return {
        f"seconds_{name}": round(statistics.median(seconds), 5),
        f"seconds_{name}_min": round(min(seconds), 5),
        f"seconds_{name}_max": round(max(seconds), 5),
    }


def machine() -> Figures:
    """Return what the hardware is and the versions of the packages, as flat figures."""
    described = hardware.describe()
    names = ", ".join(described.pop("gpus")) or "none"
    return {**described, "gpus": names, **versions()}


def write_figures(figures: Mapping[str, object], path: Path | None) -> None:
    """Write figures as a flat JSON object, if a path is given."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
