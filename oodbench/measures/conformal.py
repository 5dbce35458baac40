"""Thresholds and p-values whose rate of false alarms holds in finite samples.

Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005, section 2.2; Bates et al., Testing for Outliers with Conformal p-values, Annals of Statistics
2023, https://arxiv.org/abs/2104.08279): calibration scores are those of ID images that neither
classifier nor detector has learned from. An input that is drawn as they were is as likely to take
any place among them. So it is rejected with a probability of at most alpha, over the draw of the
input and of the calibration images, whatever the detector and the distribution are.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from oodbench.measures.arrays import Scores, checked_scores
from oodbench.measures.paired import Floats


def conformal_threshold(alpha: float, calibration: Scores) -> float:
    """Return the largest score that is accepted at a false-alarm rate of at most alpha.

    Of n calibration scores in ascending order it is the ceil((n + 1) (1 - alpha))-th, and infinite
    where there are too few for any to be rejected.

    Args:
        alpha: in (0, 1).
        calibration: (n,) finite scores of ID images that nothing has learned from.

    Raises:
        ValueError: if alpha is out of range, there are no scores, or some are not finite.
    """
    ordered = np.sort(checked_scores(calibration, "calibration"))
    # As text, because 0.05 is no binary fraction, and the rank must be exact.
    share = Fraction(str(checked_alpha(alpha)))
    rank = len(ordered) + 1 - math.floor((len(ordered) + 1) * share)
    return math.inf if rank > len(ordered) else float(ordered[rank - 1])


def conformal_p_values(scores: Scores, calibration: Scores) -> Floats:
    """Return (1 + the number of calibration scores at least as large) / (n + 1) for each score.

    A score exceeds `conformal_threshold` where its p-value is at most alpha, and nowhere else.

    Args:
        scores: (m,) finite scores of the inputs.
        calibration: as above; it may be empty, and all p-values are 1 then.

    Raises:
        ValueError: if some scores are not finite.
    """
    found = checked_scores(scores, "judged") if len(scores) else np.zeros(0)
    if not len(calibration):
        return np.ones(len(found))
    ordered = np.sort(checked_scores(calibration, "calibration"))
    above = len(ordered) - np.searchsorted(ordered, found, "left")
    p_values: Floats = (1 + above) / (len(ordered) + 1)
    return p_values


def checked_alpha(alpha: float) -> float:
    """Return a rate of false alarms.

    Raises:
        ValueError: if it is not within (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha = {alpha:g} is no rate of false alarms between 0 and 1")
    return float(alpha)
