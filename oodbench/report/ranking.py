"""Ranks of detectors over OOD sets, and the critical-difference diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from oodbench.contracts.figure import MeanRanks, plain_label
from oodbench.errors import FigureUnavailable
from oodbench.measures.paired import Floats
from oodbench.measures.ranks import friedman
from oodbench.report.pictures import Plot, drawing, finish, new_figure
from oodbench.report.summary import summarise


def mean_ranks(records: pd.DataFrame) -> MeanRanks:
    """Rank the detectors of records that failed on no OOD set, by their mean AUROC on each.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`, of one ID set and classifier.

    Raises:
        FigureUnavailable: if there are too few detectors or sets, or no difference at all.
    """
    summary = summarise(records[records["ood_dataset"] != ""], ["auroc"])
    aurocs = summary.pivot_table(
        "auroc_mean", "detector", "ood_dataset", sort=False, dropna=False
    ).dropna()
    return compare_ranks([str(name) for name in aurocs.index], aurocs.to_numpy(np.float64))


def compare_ranks(names: Sequence[str], values: Floats) -> MeanRanks:
    """Rank detectors on each set, and test the differences of their mean ranks.

    The tests are Friedman's and, for pairs, Nemenyi's (Demsar, "Statistical Comparisons of
    Classifiers over Multiple Data Sets", JMLR 2006, section 3.2.2).

    Args:
        names: of d detectors.
        values: (d, n) finite values on n sets; larger is better.

    Raises:
        FigureUnavailable: if there are too few detectors or sets, or no difference at all.
    """
    detectors, sets = values.shape
    if detectors < 3 or sets < 2:
        raise FigureUnavailable(
            "A critical-difference diagram needs at least three detectors on two OOD sets, and "
            f"there are {detectors} on {sets} without a failure."
        )
    found = friedman(values)
    if math.isnan(found.critical_difference):
        raise FigureUnavailable(
            "A critical-difference diagram needs detectors that differ, but all are equal."
        )
    return MeanRanks(tuple(names), found.mean_ranks, found.p_value, found.critical_difference, sets)


def draw_mean_ranks(ranks: MeanRanks) -> Plot:
    """Return the diagram of critical differences.

    Raises:
        FigureUnavailable: if scikit-posthocs is not installed.
    """
    with drawing():
        longest = max(len(plain_label(name)) for name in ranks.names)
        size = (max(6.0, 4 + 0.16 * longest), 1.2 + 0.22 * len(ranks.names))
        figure, (axes,) = new_figure(1, 1, *size)
        ranks.draw_on(axes)
        order = np.argsort(ranks.ranks, kind="stable")
        listed = ", ".join(f"{ranks.names[number]} {ranks.ranks[number]:.2f}" for number in order)
        title = "Mean ranks over the OOD sets"
        return finish(figure, title, ranks.describe(), f"Mean ranks: {listed}.")
