"""The metrics of out-of-distribution detection, computed from arrays of scores.

A score is larger the more likely an image is out-of-distribution (OOD). Nothing is sampled,
interpolated or clipped, and ties count as they fall: equal scores cross a threshold together, and
a score equal to a threshold is on the kept side, so that an image is accepted as in-distribution
(ID) where score <= threshold, and caught as OOD where score >= the threshold that keeps OOD.

Scores are compared in float64, which holds float32 exactly, so no tie is made and none is lost.
Curves are computed on the ranks of the scores; magnitudes can neither overflow nor round.

Every function that takes scores raises `ValueError` if one of its arrays is empty, is not
one-dimensional or holds a value that is not finite.
"""

from __future__ import annotations

import numpy as np

from oodbench.measures.arrays import Flags, Scores, checked_flags, checked_scores
from oodbench.measures.pooled import pool, rank_of


def auroc(id_scores: Scores, ood_scores: Scores) -> float:
    """Return the area under the ROC curve, P(OOD > ID) + P(OOD = ID) / 2, in [0, 1]."""
    return pool(id_scores, ood_scores).auroc()


def aupr_id(id_scores: Scores, ood_scores: Scores) -> float:
    """Return the average precision with ID as the positive class, in [0, 1].

    It is sum_t (recall_t - recall_{t-1}) precision_t over the thresholds t, from the smallest score
    up. Nothing is interpolated, and constant scores have the share of ID images.
    """
    return pool(id_scores, ood_scores).aupr_id()


def aupr_ood(id_scores: Scores, ood_scores: Scores) -> float:
    """Return the average precision with OOD as the positive class, in [0, 1].

    It is that of `aupr_id` with the classes exchanged, from the largest score down.
    """
    return pool(id_scores, ood_scores).aupr_ood()


def threshold(percent: int, scores: Scores) -> float:
    """Return the smallest score that at least ``percent`` % of the scores do not exceed.

    Of n scores in ascending order it is the ceil(percent n / 100)-th; the rank is computed in
    integers, because 0.95 is no binary fraction.

    Args:
        percent: share to keep, from 1 to 100.
        scores: (n,) the scores to keep.

    Raises:
        ValueError: if ``percent`` is out of range.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"a threshold keeps between 1 % and 100 % of the scores, not {percent} %")
    values = checked_scores(scores, "kept")
    rank = rank_of(percent, len(values))
    return float(np.partition(values, rank - 1)[rank - 1])


def accepted(scores: Scores, limit: float) -> float:
    """Return the share of images accepted as ID, those with score <= ``limit``, in [0, 1]."""
    return float(np.mean(checked_scores(scores, "judged") <= limit))


def rejected(scores: Scores, limit: float) -> float:
    """Return the share of images rejected as OOD, those with score > ``limit``, in [0, 1]."""
    return float(np.mean(checked_scores(scores, "judged") > limit))


def fpr95(id_scores: Scores, ood_scores: Scores) -> float:
    """Return the share of OOD images accepted where at least 95 % of the ID images are.

    ID is the positive class, as in Liang et al., ICLR 2018 (ODIN), and in the GANAD paper's
    FPR95TPR (section 4.1.2). In [0, 1].
    """
    return pool(id_scores, ood_scores).fpr95()


def fpr95_ood(id_scores: Scores, ood_scores: Scores) -> float:
    """Return the share of ID images rejected where at least 95 % of the OOD images are.

    OOD is the positive class, as in pytorch-ood and OpenOOD v1.5 (Zhang et al., 2023). In [0, 1].
    """
    return pool(id_scores, ood_scores).fpr95_ood()


def id_accuracy(correct: Flags) -> float:
    """Return the classifier's accuracy on ID images, in [0, 1].

    Args:
        correct: (n,) whether the classifier is right about each image.

    Raises:
        ValueError: if there is no image, or a flag is neither true nor false.
    """
    flags = checked_flags(correct)
    if not len(flags):
        raise ValueError("the accuracy of no images is undefined")
    return float(np.mean(flags))


def oscr(id_scores: Scores, ood_scores: Scores, correct: Flags) -> float:
    """Return the area under the open-set classification rate curve.

    The curve (Dhamija et al., NeurIPS 2018) sets, over all thresholds, the share of ID images that
    are accepted and correctly classified against the share of OOD images that are accepted. Where
    ID and OOD scores tie, both move at once and the curve is straight between the two points, as
    an ROC curve is. The area is therefore

        P(an ID image is correctly classified, and scores below an OOD image; a tie counts half),

    the accuracy times the AUROC of the correctly classified ID images. At most `id_accuracy`.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: (m,) scores of the OOD images.
        correct: (n,) whether the classifier is right about each ID image.

    Raises:
        ValueError: if ``correct`` and ``id_scores`` differ in length, or a flag is neither true
            nor false.
    """
    return id_accuracy(correct) * pool(id_scores, ood_scores, correct).right().auroc()


def aurc(id_scores: Scores, ood_scores: Scores, correct: Flags) -> float:
    """Return the area under the risk-coverage curve; smaller is better.

    ID and OOD images are judged together, as they are, without weights: N = n + m images. Accepting
    an ID image that the classifier gets wrong is a failure, and so is accepting any OOD image
    (Jaeger et al., ICLR 2023). The selective risk at a threshold is the share of failures among
    the images that it accepts (Geifman and El-Yaniv, NeurIPS 2017), and the area is its mean over
    the N thresholds that are the images' own scores (Geifman et al., ICLR 2019):

        AURC = 1/N sum_i  #{j: s_j <= s_i, j fails} / #{j: s_j <= s_i}.

    Equal scores are accepted in one step, and each of them counts with the risk after that step;
    constant scores give the overall share of failures.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: (m,) scores of the OOD images.
        correct: (n,) whether the classifier is right about each ID image.

    Raises:
        ValueError: if ``correct`` and ``id_scores`` differ in length.
    """
    return pool(id_scores, ood_scores, correct).aurc()


def tied_share(*scores: Scores) -> float:
    """Return the share of scores that occur more than once, all arrays taken together."""
    values = np.concatenate([checked_scores(part, "counted") for part in scores])
    counts = np.unique(values, return_counts=True)[1]
    return float(np.sum(counts[counts > 1]) / len(values))
