"""Validation images are drawn by seed, class-balanced, and are a small share of each class."""

from __future__ import annotations

import numpy as np

from oodbench.images.shares import Share, draw_validation

LABELS = np.random.default_rng(0).permutation(np.arange(1000) % 7)


def counts(chosen: np.ndarray, labels: np.ndarray = LABELS) -> list[int]:
    return np.bincount(labels[chosen], minlength=labels.max() + 1).tolist()


def test_as_many_of_each_class_are_held_out() -> None:
    assert counts(draw_validation(LABELS, 70, seed=0)) == [10] * 7
    assert sorted(counts(draw_validation(LABELS, 72, seed=0))) == [10] * 5 + [11] * 2


def test_positions_are_different_and_ascending() -> None:
    chosen = draw_validation(LABELS, 100, seed=0)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()


def test_the_seed_draws_them() -> None:
    first, again, other = (draw_validation(LABELS, 100, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_class_loses_more_than_a_fifth() -> None:
    labels = np.repeat([0, 1, 2], [100, 10, 4])
    assert counts(draw_validation(labels, 10, seed=0), labels) == [8, 2, 0]
    assert counts(draw_validation(labels, 1000, seed=0), labels) == [20, 2, 0]


def test_few_images_are_taken_from_few_of_many_classes() -> None:
    chosen = draw_validation(np.arange(1000) % 100, 30, seed=0)
    assert len(np.unique(chosen % 100)) == len(chosen) == 30


def test_both_shares_make_up_the_whole() -> None:
    rest, held_out = (Share(is_held_out, 100, 0).positions(LABELS) for is_held_out in (False, True))
    assert len(held_out) == 100
    assert sorted([*rest, *held_out]) == list(range(1000))
