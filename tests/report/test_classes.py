"""Which ID class is rejected, and which OOD class is accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from oodbench.report.classes import accepted_classes, rejected_classes, shares_by_class
from oodbench.report.samples import Judged, Shown


def judged(scores: Sequence[float], labels: Sequence[int]) -> Judged:
    count = len(scores)
    return Judged(
        np.array(scores), np.arange(count), np.array(labels), np.zeros(count, np.int64), limit=1.0
    )


def shown(labels: Sequence[int]) -> Shown:
    """Return two detectors on an OOD set of which the first four images are accepted."""
    known = judged([0, 1, 1.5, 2], [0, 0, 1, 1])
    unknown = judged([0.5] * 4 + [5.0] * (len(labels) - 4), labels)
    both = {(name, "Own"): known for name in "ab"} | {(name, "Other"): unknown for name in "ab"}
    return Shown("Own", ("Other",), ("a", "b"), both)


def test_a_score_at_the_threshold_is_accepted() -> None:
    own = judged([0, 1, 1.5, 2, 0], [0, 0, 0, 7, -1])
    assert shares_by_class(own, own.rejected) == pytest.approx({0: 1 / 3, 7: 1.0})


def test_rejected_id_classes_have_a_picture() -> None:
    (plot,) = rejected_classes(shown([0, 0, 1, 1, 2]))
    assert plot.title == "Classes of the ID set Own that are rejected"
    assert plot.svg.startswith(b"<?xml")


def test_accepted_ood_classes_have_a_picture_for_each_set() -> None:
    (plot,), sentence = accepted_classes(shown([0, 0, 1, 1, 2]))
    assert plot.title == "Classes of Other that are accepted as Own"
    assert sentence == ""


def test_a_set_without_classes_is_named() -> None:
    plots, sentence = accepted_classes(shown([-1] * 5))
    assert plots == []
    assert sentence == "Sets without classes are not shown: Other."


def test_of_many_classes_the_worst_are_shown() -> None:
    (plot,), _ = accepted_classes(shown([40, 41, 42, 43, *range(30)]))
    assert "The 20 of 34 classes with the largest mean" in plot.description
