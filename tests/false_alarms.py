"""Count false alarms over random splits of ID scores, and compare with what is guaranteed."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy.stats import betabinom

from oodbench.measures.conformal import conformal_threshold

SPLITS = 1000


def splits(scores: np.ndarray, calibration: int, alpha: float) -> np.ndarray:
    """Return the number of false alarms in each of 1,000 random splits."""
    random = np.random.default_rng(3)
    counts = np.empty(SPLITS, np.int64)
    for number in range(SPLITS):
        order = random.permutation(len(scores))
        limit = conformal_threshold(alpha, scores[order[:calibration]])
        counts[number] = np.sum(scores[order[calibration:]] > limit)
    return counts


def check_rate(scores: np.ndarray, calibration: int, alpha: float) -> None:
    """Check that false alarms over 1,000 splits are as many as the guarantee says."""
    tested = len(scores) - calibration
    rank = calibration + 1 - math.floor((calibration + 1) * Fraction(str(alpha)))
    # Without ties, the number of false alarms in a split is beta-binomial; ties can only lower it.
    exact = betabinom(tested, calibration + 1 - rank, rank)
    counts = splits(scores, calibration, alpha)
    assert exact.mean() / tested <= alpha
    # A mean over 1,000 splits of the same images: the bound of four standard errors is generous
    # enough for all detectors and rates together.
    bound = exact.mean() + 4 * exact.std() / math.sqrt(SPLITS)
    assert counts.mean() <= bound
    if len(np.unique(scores)) == len(scores):
        assert counts.mean() >= exact.mean() - 4 * exact.std() / math.sqrt(SPLITS)
        assert np.mean(counts > exact.ppf(0.95)) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / SPLITS)


def check_rate_by_class(scores: np.ndarray, predictions: np.ndarray, alpha: float) -> None:
    """Check that false alarms keep their rate among the images of each predicted class."""
    for each in np.unique(predictions):
        own = scores[predictions == each]
        calibration = len(own) // 2
        rates = splits(own, calibration, alpha) / (len(own) - calibration)
        assert rates.mean() <= alpha + 4 * rates.std() / math.sqrt(SPLITS)
