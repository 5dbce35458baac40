"""The parts of a split are told apart by seed, and make up the whole."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.images.geometry import select
from oodbench.stages.selection import positions_of


def test_all_is_every_image_in_order() -> None:
    assert positions_of("all", 5, 2, seed=0).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [10, 1000, 1001, 60_000])
def test_calibration_and_rest_make_up_the_whole(count: int) -> None:
    calibration = positions_of("calibration", count, 1000, seed=0)
    rest = positions_of("rest", count, 1000, seed=0)
    assert len(calibration) == min(count, 1000)
    assert sorted([*calibration, *rest]) == list(range(count))


def test_the_seed_draws_the_calibration_images() -> None:
    first, again, other = (positions_of("calibration", 900, 100, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_calibration_images_are_drawn_apart_from_test_images() -> None:
    calibration = positions_of("calibration", 10_000, 1000, seed=0)
    assert not np.array_equal(calibration, select(10_000, 1000, seed=0))
