"""Average precisions that do not depend on the numbers of ID and OOD images.

Precision depends on the ratio of ID to OOD images: with ten times as many OOD images the same
scores have another AUPR. Weighting both kinds as if there were as many of each removes that; it is
the calibrated precision of Siblini et al., "Master your Metrics with Calibration" (IDA 2020,
https://arxiv.org/abs/1909.02827), at a reference prior of one half. Chance is 0.5.
"""

from __future__ import annotations

import numpy as np

from oodbench.measures.arrays import Scores, checked_scores


def aupr_id_balanced(id_scores: Scores, ood_scores: Scores) -> float:
    """Return `metrics.aupr_id` as if there were as many OOD as ID images, in [0, 1].

    Raises:
        ValueError: if there are no scores of a kind, or some are not finite.
    """
    return _balanced_precision(-checked_scores(id_scores, "ID"), -checked_scores(ood_scores, "OOD"))


def aupr_ood_balanced(id_scores: Scores, ood_scores: Scores) -> float:
    """Return `metrics.aupr_ood` as if there were as many OOD as ID images, in [0, 1].

    Raises:
        ValueError: if there are no scores of a kind, or some are not finite.
    """
    return _balanced_precision(checked_scores(ood_scores, "OOD"), checked_scores(id_scores, "ID"))


def _balanced_precision(positive: Scores, negative: Scores) -> float:
    from sklearn.metrics import average_precision_score  # a second that few tables need

    sizes = [len(positive), len(negative)]
    # Ranks, because magnitudes can neither overflow nor round.
    ranks = np.unique(np.concatenate([positive, negative]), return_inverse=True)[1]
    area = average_precision_score(
        np.repeat([True, False], sizes), ranks, sample_weight=np.repeat(np.divide(1, sizes), sizes)
    )
    # The rounding of many small steps can exceed a perfect area by some 1e-16.
    return min(float(area), 1.0)
