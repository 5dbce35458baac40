"""ID and OOD scores sorted once, and the measures that follow from the order.

Scores of one kind are sorted alone, and the sorted runs are merged, which takes linear time. From
then on everything is counts of images: magnitudes can neither overflow nor round. Curves and their
areas are computed as scikit-learn computes them, to the last digit, in a fraction of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.measures.arrays import Flags, Scores, checked_flags, checked_scores
from oodbench.measures.paired import Components, Floats

Counts: TypeAlias = npt.NDArray[np.integer]
"""(k + 1,) counts of images: how many score at most as high as each of the k distinct scores, in
ascending order, and 0 in front of them."""

_BLOCK = 2**16
"""Counts that are computed with at a time: they fit into a processor's cache."""


@dataclass(frozen=True)
class Pooled:
    """The images of an ID set and an OOD set, counted by their scores.

    Attributes:
        known: ID images.
        unknown: OOD images.
        wrong: ID images that the classifier gets wrong; None if that is not known.
    """

    known: Counts
    unknown: Counts
    wrong: Counts | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of ID and of OOD images."""
        return int(self.known[-1]), int(self.unknown[-1])

    def auroc(self) -> float:
        """Return P(OOD > ID) + P(OOD = ID) / 2; 0 without any ID image."""
        if not self.known[-1]:
            return 0.0
        corners = np.flatnonzero(self._corners())[::-1]
        steps = np.empty(len(corners))
        rates = heights = np.zeros(1)
        for start, stop in _blocks(len(corners)):
            chosen = corners[start:stop]
            rates = np.append(rates[-1], _share_from(self.known, chosen))
            heights = np.append(heights[-1], _share_from(self.unknown, chosen))
            np.subtract(rates[1:], rates[:-1], out=steps[start:stop])
            steps[start:stop] *= heights[1:] + heights[:-1]
        steps /= 2
        return float(np.sum(steps))

    def _corners(self) -> Flags:
        """Return at which of the k scores the ROC curve may turn: (k,).

        It has no corner where the numbers of images are those of the score before.
        """
        corners = np.ones(len(self.known) - 1, np.bool_)
        for start, stop in _blocks(len(corners) - 2):
            known, unknown = (
                np.diff(counts[start : stop + 2]) for counts in (self.known, self.unknown)
            )
            turned = (known[1:] != known[:-1]) | (unknown[1:] != unknown[:-1])
            corners[start + 1 : stop + 1] = turned
        return corners

    def aupr_ood(self) -> float:
        """Return the average precision of OOD, from the largest score down."""
        caught, rejected = (counts[-1] - counts for counts in (self.unknown, self.known))
        return _average_precision(caught, rejected)

    def aupr_id(self) -> float:
        """Return the average precision of ID, from the smallest score up."""
        return _average_precision(self.known[::-1], self.unknown[::-1])

    def fpr95(self) -> float:
        """Return the share of OOD images accepted where at least 95 % of the ID images are."""
        known, unknown = self.sizes
        return float(self.unknown[_place(self.known, rank_of(95, known))] / unknown)

    def fpr95_ood(self) -> float:
        """Return the share of ID images rejected where at least 95 % of the OOD images are."""
        known, unknown = self.sizes
        below = _place(self.unknown, unknown - rank_of(95, unknown) + 1) - 1
        return float((known - self.known[below]) / known)

    def tied_share(self) -> float:
        """Return the share of scores that occur more than once."""
        counts = np.diff(self.known + self.unknown)
        return float(np.sum(counts[counts > 1], dtype=np.int64) / sum(self.sizes))

    def aurc(self) -> float:
        """Return the mean of the share of failures among the images up to each image's score.

        Raises:
            ValueError: if it is not known which ID images the classifier gets wrong.
        """
        if self.wrong is None:
            raise ValueError("AURC needs to know which ID images are classified correctly")
        risk = np.empty(len(self.known) - 1)
        for start, stop in _blocks(len(risk)):
            own = slice(start, stop + 1)
            images = self.known[own] + self.unknown[own]
            failures = self.wrong[own] + self.unknown[own]
            np.divide(failures[1:], images[1:], out=risk[start:stop])
            risk[start:stop] *= np.diff(images)
        return float(np.sum(risk) / sum(self.sizes))

    def right(self) -> Pooled:
        """Return the counts without the ID images that the classifier gets wrong.

        Raises:
            ValueError: if it is not known which.
        """
        if self.wrong is None:
            raise ValueError("it is not known which ID images are classified correctly")
        known, unknown = np.empty_like(self.known), np.empty_like(self.unknown)
        count, last = 0, -1
        for start, stop in _blocks(len(known)):
            right = self.known[start:stop] - self.wrong[start:stop]
            images = right + self.unknown[start:stop]
            kept = np.flatnonzero(np.append(images[0] != last, images[1:] != images[:-1]))
            end, last = count + len(kept), images[-1]
            known[count:end] = right.take(kept)
            unknown[count:end] = self.unknown[start:stop].take(kept)
            count = end
        return Pooled(known[:count], unknown[:count])

    def components(self) -> Components:
        """Return DeLong's structural components, images in ascending order of their scores."""
        below = _share_below(self.known, self.unknown)
        above = _share_below(self.unknown, self.known)
        np.subtract(1, above, out=above)
        return Components(above[None], (below,))


def pool(id_scores: Scores, ood_scores: Scores, correct: Flags | None = None) -> Pooled:
    """Return the images of an ID set and an OOD set, counted by their scores.

    Args:
        id_scores: (n,) scores of the ID images.
        ood_scores: (m,) scores of the OOD images.
        correct: (n,) whether the classifier is right about each ID image, if that is known.

    Raises:
        ValueError: if there are no scores of a kind, some are not finite, or lengths differ.
    """
    known, unknown = checked_scores(id_scores, "ID"), checked_scores(ood_scores, "OOD")
    right = np.ones(len(known), np.bool_) if correct is None else checked_flags(correct, known)
    values = np.concatenate([known[right], known[~right], unknown])
    starts = (0, int(right.sum()), len(known), len(values))
    for start, stop in itertools.pairwise(starts):
        values[start:stop].sort()
    order = np.argsort(values, kind="stable")  # of sorted runs: they are merged
    last = np.ones(len(order), np.bool_)  # of the images with each score
    for start, stop in _blocks(len(order) - 1):
        ordered = values[order[start : stop + 1]]
        np.not_equal(ordered[1:], ordered[:-1], out=last[start:stop])
    del values
    is_unknown = order >= len(known)
    kinds = [~is_unknown, is_unknown]
    if correct is not None:
        kinds.append((order >= starts[1]) & ~is_unknown)
    del order, is_unknown
    return Pooled(*(_count(kind, last) for kind in kinds))


def rank_of(percent: int, count: int) -> int:
    """Return ceil(percent count / 100), the place of the threshold that keeps ``percent`` %.

    It is computed in integers, because 0.95 is no binary fraction.
    """
    return -(-percent * count // 100)


def _count(images: Flags, last: Flags) -> Counts:
    """Return counts of images.

    Args:
        images: (N,) which of all images count, in ascending order of their scores.
        last: (N,) which images are the last ones of those with the same score.
    """
    # Half of a counter's range, so that two counts can be added.
    dtype = np.int32 if len(images) < 2**30 else np.int64
    counts: Counts = np.zeros(len(images) + 1, dtype)
    np.cumsum(images.view(np.int8), dtype=dtype, out=counts[1:])
    return counts if last.all() else counts[np.append(True, last)]


def _place(counts: Counts, count: int) -> int:
    """Return the place of the first count that is as large."""
    return int(np.searchsorted(counts, counts.dtype.type(count)))  # an int would copy the counts


def _share_from(counts: Counts, places: npt.NDArray[np.intp]) -> Floats:
    """Return the shares of images that score at least as high as the scores at some places."""
    share: Floats = (counts[-1] - counts.take(places)) / counts[-1]
    return share


def _average_precision(positive: Counts, negative: Counts) -> float:
    """Return the average precision, given how many images are accepted: all at first, then none."""
    steps = np.empty(len(positive) - 1)
    for start, stop in _blocks(len(steps)):
        own = positive[start : stop + 1]
        np.subtract(own[1:] / positive[0], own[:-1] / positive[0], out=steps[start:stop])
        steps[start:stop] *= own[:-1] / (own[:-1] + negative[start:stop])
    # The rounding of many small steps can exceed a perfect area by some 1e-16.
    return min(max(0.0, -float(np.sum(steps))), 1.0)


def _share_below(others: Counts, own: Counts) -> Floats:
    """Return for each image of one kind the share of the others below it; ties count half.

    Args:
        others: counts of the others.
        own: counts of their own kind.
    """
    share, count = np.empty(int(own[-1])), 0
    for start, stop in _blocks(len(own) - 1):
        each = np.diff(own[start : stop + 1])
        twice = others[start + 1 : stop + 1] + others[start:stop]
        untied = each.max() <= 1  # to choose is much faster than to repeat
        twice = twice[each.astype(np.bool_)] if untied else np.repeat(twice, each)
        np.divide(twice, 2 * int(others[-1]), out=share[count : count + len(twice)])
        count += len(twice)
    return share


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _BLOCK):
        yield start, min(start + _BLOCK, count)
