"""Ranks of detectors: Holm's correction, ties, Friedman's test and Nemenyi's difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.measures.paired import CONFIDENCE, Floats

LEVEL = 1 - CONFIDENCE
"""Below this adjusted p-value a difference counts as supported."""


def holm(p_values: Floats) -> Floats:
    """Return p-values adjusted for their number by Holm's method (Scand. J. Statistics 1979).

    Args:
        p_values: (n,) in [0, 1].

    Returns:
        (n,) in [0, 1], in the same order.
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    result = np.empty(count)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def tied_ranks(values: Sequence[float], adjusted: Floats) -> list[int]:
    """Return ranks, 1 for the largest value; unsupported differences are ties.

    From the best downwards a value shares the rank of those above it, unless it differs from the
    first of them by more than chance supports; then its rank is its own place.

    Args:
        values: n finite values.
        adjusted: (n, n) adjusted p-values of the differences.
    """
    order = sorted(range(len(values)), key=lambda number: -values[number])
    ranks = [0] * len(values)
    first, rank = 0, 1
    for place, number in enumerate(order, start=1):
        if place == 1 or adjusted[first, number] < LEVEL:
            first, rank = number, place
        ranks[number] = rank
    return ranks


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of detectors over data sets, and Nemenyi's critical difference.

    Attributes:
        mean_ranks: (d,) mean rank of each detector over the data sets; 1 is best.
        statistic: chi-squared; NaN where there are fewer than three detectors or two sets.
        p_value: of the hypothesis that all detectors are alike; NaN in the same case.
        critical_difference: mean ranks further apart than this differ at 5 % (Demsar, JMLR 2006,
            section 3.2.2).
    """

    mean_ranks: Floats
    statistic: float
    p_value: float
    critical_difference: float


def friedman(values: Floats) -> Friedman:
    """Rank detectors on each data set and test whether their mean ranks differ.

    Args:
        values: (d, n) finite values of d detectors on n data sets; larger is better.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    detectors, sets = values.shape
    mean_ranks = rankdata(-values, axis=0).mean(axis=1)
    alike = bool((values == values[0]).all())
    if detectors < 3 or sets < 2 or alike:
        return Friedman(mean_ranks, math.nan, math.nan, math.nan)
    statistic, p_value = friedmanchisquare(*values)
    quantile = studentized_range.ppf(CONFIDENCE, detectors, np.inf) / math.sqrt(2)
    difference = quantile * math.sqrt(detectors * (detectors + 1) / (6 * sets))
    return Friedman(mean_ranks, float(statistic), float(p_value), float(difference))
