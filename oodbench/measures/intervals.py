"""95 % intervals: of one AUROC over images, and of a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from oodbench.measures.arrays import Scores
from oodbench.measures.paired import TAIL, Components, Estimate, components, covariance


@dataclass(frozen=True)
class Summary:
    """What several runs of one measure come to.

    Attributes:
        count: number of values.
        mean: arithmetic mean; NaN without values.
        std: sample standard deviation (divisor ``count - 1``); NaN for fewer than two values.
        low: lower end of Student's 95 % interval of the mean; NaN for fewer than two values.
        high: its upper end. Both are about new seeds on the same images, and are not clipped.
    """

    count: int
    mean: float
    std: float
    low: float
    high: float


def over_seeds(values: Sequence[float]) -> Summary:
    """Return mean, sample standard deviation and t-interval of one measure over seeds.

    Args:
        values: one finite value a run.
    """
    count = len(values)
    if count == 0:
        return Summary(0, math.nan, math.nan, math.nan, math.nan)
    # fsum rounds once: equal values have themselves as their mean, and a deviation of zero.
    mean = math.fsum(values) / count
    if count == 1:
        return Summary(1, mean, math.nan, math.nan, math.nan)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    reach = float(stdtrit(count - 1, 1 - TAIL)) * std / math.sqrt(count)
    return Summary(count, mean, std, mean - reach, mean + reach)


def auroc_interval(id_scores: Scores, ood_scores: Scores) -> tuple[float, float]:
    """Return the 95 % interval of an AUROC over the choice of images, inside [0, 1].

    The variance is that of DeLong, DeLong and Clarke-Pearson (Biometrics 1988), from midranks
    in O(N log N) (Sun and Xu, IEEE Signal Processing Letters 2014). The normal interval is taken
    on the scale of log(A / (1 - A)), so that it cannot leave (0, 1) (Pepe, The Statistical
    Evaluation of Medical Tests for Classification and Prediction, 2003, chapter 5). It speaks
    about new images alone, not about new seeds or another classifier.

    Where the estimate says nothing about its own uncertainty, these rules hold:

    * separated scores, A = 1: the exact (Clopper-Pearson) interval of k successes in k trials,
      [0.025^(1/k), 1], where k is the number of images of the smaller set; A = 0: its mirror image
      [0, 1 - 0.025^(1/k)];
    * fewer than two images in a set and 0 < A < 1: [0, 1], there being no variance to estimate;
    * all scores equal: [0.5, 0.5].

    Args:
        id_scores: (n,) finite scores of the ID images, n >= 1.
        ood_scores: (m,) finite scores of the OOD images, m >= 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: if there are no scores of a kind, or some are not finite.
    """
    return mean_auroc_interval(components(id_scores, [ood_scores]))


def mean_auroc_interval(found: Components) -> tuple[float, float]:
    """Return the 95 % interval of a mean AUROC over OOD sets, over the choice of images.

    The rules are those of `auroc_interval`, the smallest set deciding where scores are separated.
    """
    smallest = min(found.known.shape[1], *map(len, found.unknown))
    area = found.area
    if area in (0.0, 1.0):
        bound = float(TAIL ** (1 / smallest))
        return (bound, 1.0) if area == 1.0 else (0.0, 1.0 - bound)
    if smallest < 2:
        return 0.0, 1.0
    return Estimate(area, float(covariance([found])[0, 0])).area_interval()
