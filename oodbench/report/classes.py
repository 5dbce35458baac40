"""The classes that a detector fails on: ID classes rejected, OOD classes accepted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oodbench.measures.arrays import Flags
from oodbench.report.pictures import Plot, Values, finish, heat_map
from oodbench.report.samples import PERCENT, Judged, Shown

MOST_CLASSES = 20
"""Of more classes, those on which the detectors fail most are shown."""

_THRESHOLD = f"the threshold that keeps {PERCENT} % of the calibration images"


def rejected_classes(shown: Shown) -> list[Plot]:
    """Return a heat map of the ID classes that are rejected; none without labels."""
    return _draw(
        shown,
        shown.id_dataset,
        lambda judged: judged.rejected,
        f"Classes of the ID set {shown.id_dataset} that are rejected",
        f"Share of the test images of a class above {_THRESHOLD}, in %.",
    )


def accepted_classes(shown: Shown) -> tuple[list[Plot], str]:
    """Return a heat map for each OOD set with classes, and a sentence about the others."""
    plots: list[Plot] = []
    others = []
    for title in shown.sets:
        own = _draw(
            shown,
            title,
            lambda judged: ~judged.rejected,
            f"Classes of {title} that are accepted as {shown.id_dataset}",
            f"Share of the images of a class not above {_THRESHOLD}, in %.",
        )
        plots += own
        if not own:
            others.append(title)
    if not others:
        return plots, ""
    return plots, f"Sets without classes are not shown: {', '.join(others)}."


def shares_by_class(judged: Judged, failed: Flags) -> dict[int, float]:
    """Return the share of each class that failed, fractions in [0, 1].

    Args:
        judged: n images.
        failed: (n,) which of them the detector fails on.
    """
    return {
        int(label): float(failed[judged.labels == label].mean())
        for label in np.unique(judged.labels)
        if label >= 0
    }


def _draw(
    shown: Shown,
    title: str,
    fails: Callable[[Judged], Flags],
    heading: str,
    caption: str,
) -> list[Plot]:
    """Return a heat map, or nothing where there are no two classes."""
    found = {
        detector: shares_by_class(judged, fails(judged))
        for detector in shown.detectors
        if (judged := shown.judged.get((detector, title))) is not None and judged.limit is not None
    }
    classes = sorted({label for shares in found.values() for label in shares})
    if len(classes) < 2:
        return []
    values: Values = 100 * np.array(
        [[shares.get(label, math.nan) for label in classes] for shares in found.values()]
    )
    if len(classes) > MOST_CLASSES:
        worst = np.argsort(-values.mean(axis=0), kind="stable")[:MOST_CLASSES]
        caption += f" The {MOST_CLASSES} of {len(classes)} classes with the largest mean."
        classes, values = [classes[number] for number in worst], values[:, worst]
    largest = max(10.0, float(np.nanmax(values)))
    names = [shown.class_name(title, label) for label in classes]
    figure = heat_map(values, list(found), names, label="%", largest=largest)
    return [finish(figure, heading, caption)]
