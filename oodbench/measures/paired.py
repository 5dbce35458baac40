"""DeLong's paired test of the AUROCs of detectors that scored the same images.

A detector's AUROCs on several OOD sets share the ID test images, and two detectors share all
images; the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 1988) tell how
much of a difference is owed to the choice of images. `Components` holds them for one detector, over
one or several OOD sets, so that the mean AUROC over sets is tested as easily as that on one set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtr, ndtri, stdtr, stdtrit

from oodbench.measures.arrays import Scores, checked_scores

Floats: TypeAlias = npt.NDArray[np.float64]

Seeds: TypeAlias = tuple[int, int | None]
"""The seeds of a classifier and of a detector; None where a detector draws nothing."""

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
"""The chance on either side of an interval."""


@dataclass(frozen=True)
class Components:
    """The structural components of a detector's AUROCs on one or several OOD sets.

    Attributes:
        known: (k, n) float64 in [0, 1]: for OOD set and ID image, the share of the set's images
            that score above the ID image; a tie counts half.
        unknown: k arrays (m,) float64 in [0, 1]: for each image of an OOD set, the share of ID
            images that score below it.
    """

    known: Floats
    unknown: tuple[Floats, ...]

    @property
    def areas(self) -> Floats:
        """Return the AUROC on each OOD set, (k,)."""
        return np.array([float(np.mean(part)) for part in self.unknown])

    @property
    def area(self) -> float:
        """Return the mean AUROC over the OOD sets."""
        return float(np.mean(self.areas))

    def select(self, sets: Sequence[int]) -> Components:
        """Return the components on some of the OOD sets, by their positions."""
        return Components(self.known[list(sets)], tuple(self.unknown[number] for number in sets))


def components(id_scores: Scores, ood_scores: Sequence[Scores]) -> Components:
    """Return DeLong's structural components of one detector, in O(N log N).

    Args:
        id_scores: (n,) finite scores of the ID images.
        ood_scores: for each OOD set the (m,) finite scores of its images, at least one set.

    Raises:
        ValueError: if there are no scores of a kind, or some are not finite.
    """
    id_values = checked_scores(id_scores, "ID")
    ood_values = [checked_scores(scores, "OOD") for scores in ood_scores]
    if not ood_values:
        raise ValueError("there are no OOD scores; a measure needs at least one")
    return Components(
        np.stack([1 - _share_below(id_values, unknown) for unknown in ood_values]),
        tuple(_share_below(unknown, id_values) for unknown in ood_values),
    )


def side_by_side(folds: Sequence[Components]) -> Components:
    """Return the components of several folds, each with an ID set of its own, as those of one.

    For the n ID images of its fold, a set's row holds their distance from the set's area, times
    N / n, and for the N - n others none. So its mean is the area, and the variance of that is the
    fold's, times (n - 1) N / (n (N - 1)).
    """
    total = sum(fold.known.shape[1] for fold in folds)
    rows, start = [], 0
    for fold in folds:
        count = fold.known.shape[1]
        areas = fold.known.mean(axis=1, keepdims=True)
        own = np.repeat(areas, total, axis=1)
        own[:, start : start + count] += (fold.known - areas) * (total / count)
        rows.append(own)
        start += count
    return Components(np.concatenate(rows), tuple(part for fold in folds for part in fold.unknown))


def mean_components(parts: Sequence[Components]) -> Components:
    """Return the components of the mean AUROC over several runs on the same images."""
    return Components(
        np.mean([part.known for part in parts], axis=0),
        tuple(np.mean(own, axis=0) for own in zip(*(part.unknown for part in parts), strict=True)),
    )


def covariance(detectors: Sequence[Components]) -> Floats:
    """Return the covariance of the detectors' mean AUROCs over the choice of images.

    The images of the ID set and of each OOD set are independent samples of their own: variances
    of their means add up.

    Args:
        detectors: components of d detectors on the same images of the same OOD sets.

    Returns:
        (d, d); NaN if one of the sets has a single image.
    """
    sets = len(detectors[0].unknown)
    total = _covariance_of_mean(np.stack([each.known.mean(axis=0) for each in detectors]))
    for number in range(sets):
        own = np.stack([each.unknown[number] for each in detectors])
        total += _covariance_of_mean(own) / sets**2
    return total


@dataclass(frozen=True)
class Estimate:
    """A mean AUROC, or a difference of two, with its uncertainty.

    Attributes:
        value: the estimate.
        variance: of the estimate.
        freedom: degrees of freedom of the variance; infinite where it comes from images alone.
    """

    value: float
    variance: float
    freedom: float = math.inf

    @property
    def p_value(self) -> float:
        """Return the two-sided p-value of the hypothesis that the true value is 0.

        Without any variance a difference of 0 has the p-value 1, any other 0.
        """
        if not self.variance > 0:
            return 1.0 if self.value == 0 or math.isnan(self.variance) else 0.0
        ratio = -abs(self.value) / math.sqrt(self.variance)
        tail = ndtr(ratio) if math.isinf(self.freedom) else stdtr(self.freedom, ratio)
        return 2 * float(tail)

    def interval(self, together: int = 1) -> tuple[float, float]:
        """Return the symmetric 95 % interval, for a difference.

        It excludes 0 just where ``together * p_value`` is below 5 % (Bonferroni).

        Args:
            together: number of intervals that are to hold at once.
        """
        reach = self._quantile(together) * math.sqrt(self.variance)
        return self.value - reach, self.value + reach

    def area_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of an AUROC on the scale of log(A / (1 - A)), inside [0, 1].

        Without variance it has no width.
        """
        if not 0 < self.value < 1 or self.variance == 0:
            return self.value, self.value
        spread = self.value * (1 - self.value)
        reach = self._quantile() * math.sqrt(self.variance) / spread
        return float(expit(logit(self.value) - reach)), float(expit(logit(self.value) + reach))

    def _quantile(self, together: int = 1) -> float:
        if math.isinf(self.freedom):
            return -float(ndtri(TAIL / together))
        return -float(stdtrit(self.freedom, TAIL / together))


def two_sided_p(differences: Floats, variances: Floats) -> Floats:
    """Return the p-values of many differences over images at once; see `Estimate.p_value`.

    Args:
        differences: of any shape.
        variances: of the same shape, at least 0.
    """
    safe = np.where(variances > 0, variances, 1.0)
    tested = 2 * ndtr(-np.abs(differences) / np.sqrt(safe))
    certain = np.where((differences == 0) | np.isnan(variances), 1.0, 0.0)
    p_values: Floats = np.where(variances > 0, tested, certain)
    return p_values


def delong_test(first: Components, second: Components) -> Estimate:
    """Return the difference of two detectors' mean AUROCs on the same images, first minus second.

    Raises:
        ValueError: if they were not computed on as many images of as many sets.
    """
    sizes = {(each.known.shape, tuple(map(len, each.unknown))) for each in (first, second)}
    if len(sizes) > 1:
        raise ValueError("a paired test needs scores of the same images")
    spread = covariance([first, second])
    variance = float(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    return Estimate(first.area - second.area, max(variance, 0.0))


def independent_runs(areas: Mapping[Seeds, float]) -> dict[Seeds, float]:
    """Return what varies independently of each other among figures of runs.

    All runs on one classifier share what is particular about it. Where there are several, only the
    means over the runs on each are independent; else the runs are.

    Args:
        areas: figures by the seeds of classifier and detector.

    Returns:
        Figures by the same seeds; a mean over a classifier's runs has None for the detector's.
    """
    by_classifier: dict[int, list[float]] = {}
    for (classifier_seed, _), area in areas.items():
        by_classifier.setdefault(classifier_seed, []).append(area)
    if len(by_classifier) < 2:
        return dict(areas)
    return {(seed, None): float(np.mean(own)) for seed, own in by_classifier.items()}


def run_variances(
    first: Mapping[Seeds, float], second: Mapping[Seeds, float], *, paired: bool
) -> tuple[list[float], list[int]]:
    """Return what `add_run_variance` takes, for a difference of two detectors.

    Args:
        first: what `independent_runs` says of one detector.
        second: the same of the other; of the same seeds if ``paired``.
        paired: whether runs of equal seeds belong together; else they are independent samples.
    """
    groups = [list(first.values()), list(second.values())]
    if paired:
        groups = [[first[seeds] - second[seeds] for seeds in first]]
    several = [own for own in groups if len(own) > 1]
    return [float(np.var(own, ddof=1)) for own in several], [len(own) for own in several]


def add_run_variance(
    estimate: Estimate, variances: Sequence[float], counts: Sequence[int]
) -> Estimate:
    """Add the uncertainty that comes from the choice of runs to that from the choice of images.

    The degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946).

    Args:
        estimate: with the variance over images of the mean over runs.
        variances: sample variance over runs, for each independent group of them.
        counts: number of runs of each group; a group of one says nothing, and is left out.
    """
    terms = [
        (variance / count, count - 1)
        for variance, count in zip(variances, counts, strict=True)
        if count > 1 and variance > 0
    ]
    if not terms:
        return estimate
    total = estimate.variance + sum(term for term, _ in terms)
    denominator = sum(term**2 / freedom for term, freedom in terms)
    return Estimate(estimate.value, total, total**2 / denominator)


def _share_below(values: Floats, others: Floats) -> Floats:
    """Return for each value the share of others below it; equal ones count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    share: Floats = below / (2 * len(others))
    return share


def _covariance_of_mean(parts: Floats) -> Floats:
    """Return the covariance of the row means of (d, n) values, each row on the same n images."""
    count = parts.shape[1]
    if count < 2:
        return np.full((len(parts), len(parts)), math.nan)
    spread: Floats = np.atleast_2d(np.cov(parts)) / count
    return spread
