"""What a detector is worth in use: selective classification where a share of the inputs is OOD.

An input is accepted where its score does not exceed a threshold, and accepting an OOD image, or an
ID image that the classifier gets wrong, is a failure (Jaeger et al., ICLR 2023). Test sets say
nothing about how rare OOD inputs are, so their share is stated: ID images together weigh
1 - share and OOD images share, and of several OOD sets each has an equal part of it. Equal scores
are accepted in one step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oodbench.measures.arrays import Flags, Scores, checked_flags, checked_scores
from oodbench.measures.paired import Floats


@dataclass(frozen=True)
class Use:
    """How rare OOD inputs are, and what mistakes cost; costs have any one unit.

    Attributes:
        share: of the inputs that is OOD, in (0, 1).
        accepted_ood: cost of an OOD input that is accepted.
        accepted_error: cost of an ID input that is accepted and misclassified.
        rejected_good: cost of an ID input that is rejected and would have been classified right.

    Raises:
        ValueError: if the share is not within (0, 1), a cost is negative or infinite, or all are 0.
    """

    share: float
    accepted_ood: float = 1.0
    accepted_error: float = 1.0
    rejected_good: float = 1.0

    def __post_init__(self) -> None:
        costs = (self.accepted_ood, self.accepted_error, self.rejected_good)
        if not 0 < self.share < 1:
            raise ValueError(f"the share of OOD inputs is {self.share:g}, not between 0 and 1")
        if not all(0 <= cost < math.inf for cost in costs) or not any(costs):
            stated = ":".join(f"{cost:g}" for cost in costs)
            raise ValueError(f"the costs {stated} are not numbers of at least 0, one of them more")

    @property
    def weights(self) -> Floats:
        """Return what the shares of `Outcomes` cost, (3,)."""
        known = 1 - self.share
        return np.array(
            [
                self.share * self.accepted_ood,
                known * self.accepted_error,
                known * self.rejected_good,
            ]
        )


@dataclass(frozen=True)
class Outcomes:
    """What comes of every threshold.

    Attributes:
        limits: (t,) ascending thresholds: minus infinity, which rejects all, then each score.
        shares: (t, 3) in [0, 1]: of the OOD images, the share that is accepted; of the ID images,
            the shares that are accepted and wrong, and that are rejected and right.
    """

    limits: Floats
    shares: Floats

    def risks(self, use: Use) -> Floats:
        """Return the expected cost of an input at each threshold, (t,)."""
        risks: Floats = self.shares @ use.weights
        return risks

    def useful(self) -> Outcomes:
        """Return the thresholds that can have the smallest risk, whatever share and costs are.

        A threshold that accepts no further good image costs no less than the one before it, and one
        that is followed by good images alone no less than the one after it.
        """
        accepts_good = np.append(True, self.shares[1:, 2] < self.shares[:-1, 2])
        fails_next = np.append((self.shares[1:, :2] > self.shares[:-1, :2]).any(axis=1), True)
        kept = accepts_good & fails_next
        return Outcomes(self.limits[kept], self.shares[kept])

    def best(self, use: Use) -> int:
        """Return the position of the threshold with the smallest risk, the first of several."""
        return int(np.argmin(self.risks(use)))


def outcomes(id_scores: Scores, ood_scores: Sequence[Scores], correct: Flags) -> Outcomes:
    """Return what comes of every threshold of a detector.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: for each of at least one OOD set the (m,) scores of its images.
        correct: (n,) whether the classifier is right about each ID image.

    Raises:
        ValueError: if there are no scores of a kind, some are not finite, or lengths differ.
    """
    known = checked_scores(id_scores, "ID")
    unknown = [checked_scores(scores, "OOD") for scores in ood_scores]
    if not unknown:
        raise ValueError("there are no OOD scores; a measure needs at least one")
    right = checked_flags(correct, known)
    limits = np.concatenate([[-np.inf], np.unique(np.concatenate([known, *unknown]))])
    accepted_right = _accepted(known[right], limits)
    shares = [
        np.mean([_accepted(scores, limits) / len(scores) for scores in unknown], axis=0),
        _accepted(known[~right], limits) / len(known),
        (accepted_right[-1] - accepted_right) / len(known),
    ]
    return Outcomes(limits, np.stack(shares, axis=1))


def augrc(id_scores: Scores, ood_scores: Scores, correct: Flags, *, share: float) -> float:
    """Return the area under the generalised risk-coverage curve, in [0, 1]; smaller is better.

    The curve sets the weight of accepted failures against that of all accepted images (Traub et
    al., NeurIPS 2024, https://arxiv.org/abs/2407.01032, section 3). Where scores tie, both grow at
    once and the curve is straight between the two points. The area is therefore

        P(a failing image j scores below an image i; a tie counts half),

    i and j drawn independently of each other with the weights of the images.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: (m,) scores of the OOD images.
        correct: (n,) whether the classifier is right about each ID image.
        share: of the inputs that is OOD, in (0, 1).

    Raises:
        ValueError: if there are no scores of a kind, some are not finite, lengths differ, or the
            share is out of range.
    """
    images, failures = _coverage(outcomes(id_scores, [ood_scores], correct), share)
    return float(np.sum(np.diff(images) * (failures[1:] + failures[:-1]) / 2))


def aurc_at_share(id_scores: Scores, ood_scores: Scores, correct: Flags, *, share: float) -> float:
    """Return `oodbench.measures.aurc` as if a share of the images were OOD; smaller is better.

    Arguments and errors are those of `augrc`.
    """
    images, failures = _coverage(outcomes(id_scores, [ood_scores], correct), share)
    return float(np.sum(np.diff(images) * failures[1:] / images[1:]))


def image_costs(
    id_scores: Scores, ood_scores: Sequence[Scores], correct: Flags, limit: float, use: Use
) -> list[Floats]:
    """Return what each image costs at a threshold; the risk is the sum of the sets' mean costs.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: for each OOD set the (m,) scores of its images.
        correct: (n,) whether the classifier is right about each ID image.
        limit: the threshold.
        use: share and costs.

    Returns:
        The costs of the ID images, (n,), and of the images of each OOD set, (m,).

    Raises:
        ValueError: if ``correct`` and ``id_scores`` differ in length, or a flag is neither true
            nor false.
    """
    accepted_ood, accepted_error, rejected_good = use.weights
    accepted, right = id_scores <= limit, checked_flags(correct, id_scores)
    known = accepted_error * (accepted & ~right) + rejected_good * (~accepted & right)
    unknown = [accepted_ood / len(ood_scores) * (scores <= limit) for scores in ood_scores]
    return [known, *unknown]


def risk_differences(
    accepted: npt.NDArray[np.bool_], sizes: Sequence[int], use: Use, reference: int
) -> tuple[Floats, Floats]:
    """Return the risks of detectors minus that of one of them, and their variances over images.

    ID images, and those of each OOD set, are samples of their own, the same for all detectors. The
    variance is the one that resampling the images has at the same thresholds.

    Args:
        accepted: (d, n) which images each detector accepts: first the ID images that the classifier
            gets wrong, then those that it gets right, then those of each OOD set.
        sizes: numbers of images in these groups.
        use: share and costs.
        reference: the position of the one.

    Returns:
        (d,) differences and (d,) variances; the variance is NaN if a sample has a single image.
    """
    ends = np.cumsum(sizes)
    groups = [accepted[:, end - size : end] for end, size in zip(ends, sizes, strict=True)]
    # Of each group, how many more a detector accepts, and how many it treats otherwise.
    more = np.stack([np.count_nonzero(part, axis=1) for part in groups])
    more = more - more[:, [reference]]
    otherwise = np.stack([np.count_nonzero(part != part[reference], axis=1) for part in groups])
    accepted_ood, accepted_error, rejected_good = use.weights
    known = sizes[0] + sizes[1]
    sums = [accepted_error * more[0] - rejected_good * more[1]]
    squares = [accepted_error**2 * otherwise[0] + rejected_good**2 * otherwise[1]]
    each = accepted_ood / (len(sizes) - 2)
    sums += [each * part for part in more[2:]]
    squares += [each**2 * part for part in otherwise[2:]]
    counts = np.array([known, *sizes[2:]])[:, None]
    means = np.stack(sums) / counts
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = (np.stack(squares) / counts - means**2) / (counts - 1)
    return means.sum(axis=0), variances.sum(axis=0)


def _accepted(scores: Scores, limits: Floats) -> Floats:
    """Return how many scores each limit accepts, (t,)."""
    return np.searchsorted(np.sort(scores), limits, "right").astype(np.float64)


def _coverage(found: Outcomes, share: float) -> tuple[Floats, Floats]:
    """Return the weight of the accepted images, and of the failures among them, from 0 up: (t,)."""
    accepted_ood, accepted_error, rejected_good = found.shares.T
    weight = Use(share).share
    failures = weight * accepted_ood + (1 - weight) * accepted_error
    return failures + (1 - weight) * (rejected_good[0] - rejected_good), failures
