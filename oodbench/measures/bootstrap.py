"""The paired, stratified bootstrap over images, of AUROCs and of means.

ID images and the images of each OOD set are strata; every sample draws as many images of each as
there are, with replacement, and the same images for all detectors, so that differences of
detectors are paired. Nothing is scored or sorted again: a sample is the number of times that each
image was drawn, and its AUROC a sum of products of such counts (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from oodbench.measures.arrays import Scores, checked_scores
from oodbench.measures.paired import CONFIDENCE, Floats

_BLOCK = 64
"""Samples that are computed together: their counts of one set fit into a processor's cache."""


@dataclass(frozen=True)
class _Places:
    """Where the OOD images of one set fall among a detector's ID images in ascending order.

    Attributes:
        below: (m,) number of ID images that score below each OOD image.
        reached: (m,) number that score at most as high; None where nothing is tied.
    """

    below: npt.NDArray[np.intp]
    reached: npt.NDArray[np.intp] | None


def bootstrap_auroc(
    id_scores: Sequence[Scores],
    ood_scores: Sequence[Sequence[Scores]],
    *,
    samples: int = 10_000,
    seed: int = 0,
    threads: int = 1,
) -> Floats:
    """Return the AUROCs of resampled images; equal arguments give equal results.

    Args:
        id_scores: for each of d detectors the (n,) finite scores of the same ID images.
        ood_scores: for each detector, for each of k OOD sets, the (m,) finite scores of its images.
        samples: number of samples.
        seed: draws the images; the result does not depend on ``threads``.
        threads: samples are computed in as many threads.

    Returns:
        (samples, d, k) float64 in [0, 1].

    Raises:
        ValueError: if the detectors' scores are not of equally many images, or not finite.
    """
    known = [checked_scores(scores, "ID") for scores in id_scores]
    unknown = [[checked_scores(scores, "OOD") for scores in own] for own in ood_scores]
    if len({(len(own), *map(len, sets)) for own, sets in zip(known, unknown, strict=True)}) != 1:
        raise ValueError("a paired bootstrap needs scores of the same images")
    orders = [np.argsort(own, kind="stable") for own in known]
    places = [
        [_place(own[order], scores) for scores in sets]
        for own, order, sets in zip(known, orders, unknown, strict=True)
    ]
    sizes = (len(known[0]), *map(len, unknown[0]))
    return _in_blocks(partial(_block, orders, places, sizes), samples, seed, threads)


def bootstrap_means(
    values: Sequence[Floats], *, samples: int = 10_000, seed: int = 0, threads: int = 1
) -> Floats:
    """Return sums over sets of mean values of resampled images; equal arguments give equal results.

    Args:
        values: for each set the (d, n) values of its images, for each of d detectors.
        samples: number of samples.
        seed: draws the images; the result does not depend on ``threads``.
        threads: samples are computed in as many threads.

    Returns:
        (samples, d) float64.
    """

    def compute(count: int, random: np.random.Generator) -> Floats:
        drawn = (_draw(part.shape[1], count, random) for part in values)
        means = [part @ counts / part.shape[1] for part, counts in zip(values, drawn, strict=True)]
        total: Floats = np.sum(means, axis=0).T
        return total

    return _in_blocks(compute, samples, seed, threads)


def percentile_interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper ends of the 95 % percentile interval along the first axis."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return low, high


def _in_blocks(
    compute: Callable[[int, np.random.Generator], Floats], samples: int, seed: int, threads: int
) -> Floats:
    """Return samples that are computed block by block, each from a seed of its own."""
    starts = range(0, samples, _BLOCK)
    seeds = np.random.SeedSequence(seed).spawn(len(starts))

    def block(number: int) -> Floats:
        count = min(_BLOCK, samples - starts[number])
        return compute(count, np.random.default_rng(seeds[number]))

    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(block, range(len(starts)))))


def _place(ordered: Floats, scores: Floats) -> _Places:
    below = np.searchsorted(ordered, scores, "left")
    reached = np.searchsorted(ordered, scores, "right")
    return _Places(below, None if np.array_equal(below, reached) else reached)


def _block(
    orders: Sequence[npt.NDArray[np.intp]],
    places: Sequence[Sequence[_Places]],
    sizes: tuple[int, ...],
    count: int,
    random: np.random.Generator,
) -> Floats:
    """Return (count, d, k) AUROCs of ``count`` samples."""
    known, *unknown = [_draw(size, count, random) for size in sizes]
    areas = np.empty((count, len(orders), len(unknown)))
    below = np.zeros((sizes[0] + 1, count), np.float32)
    for detector, order in enumerate(orders):
        # Row i: how many of the drawn ID images are among the i that score lowest. Counts are
        # whole numbers far below 2**24, which float32 holds exactly.
        np.cumsum(known[order], axis=0, out=below[1:])
        for number, (drawn, place) in enumerate(zip(unknown, places[detector], strict=True)):
            wins = _weighted_sum(below, place.below, drawn)
            if place.reached is not None:
                wins = (wins + _weighted_sum(below, place.reached, drawn)) / 2
            areas[:, detector, number] = wins / (sizes[0] * sizes[1 + number])
    return areas


def _draw(size: int, count: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return (size, count): how often each of ``size`` images is in each of ``count`` samples."""
    drawn = random.integers(0, size, (count, size), dtype=np.int32)
    drawn += np.arange(count, dtype=np.int32)[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
    return np.ascontiguousarray(counts.T, dtype=np.float32)


def _weighted_sum(
    below: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], drawn: npt.NDArray[np.float32]
) -> Floats:
    """Return for each sample the sum of ``below[rows] * drawn``; sums are kept in float64."""
    total = np.zeros(drawn.shape[1])
    step = 256  # products and their partial sums stay exact enough in float32, and in the cache
    for start in range(0, len(rows), step):
        part = below[rows[start : start + step]]
        total += np.einsum("ij,ij->j", part, drawn[start : start + step])
    return total
