"""Check that balanced areas are those of as many images of each kind, whatever the ratio."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.measures.metrics import aupr_id, aupr_ood
from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced

PAIRS = [(aupr_id, aupr_id_balanced), (aupr_ood, aupr_ood_balanced)]


def draw(n: int, m: int, decimals: int = 8) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n + m)
    return random.normal(0, 1, n).round(decimals), random.normal(1, 1, m).round(decimals)


@pytest.mark.parametrize("decimals", [0, 8])
@pytest.mark.parametrize(("plain", "balanced"), PAIRS)
def test_as_many_images_of_each_give_the_plain_area(plain, balanced, decimals: int) -> None:
    known, unknown = draw(80, 80, decimals)
    assert balanced(known, unknown) == pytest.approx(plain(known, unknown), abs=1e-12)


@pytest.mark.parametrize(("plain", "balanced"), PAIRS)
def test_repeating_the_rarer_images_gives_the_same(plain, balanced) -> None:
    known, unknown = draw(60, 20, decimals=1)
    repeated = np.repeat(unknown, 3)
    expected = plain(known, repeated)
    assert plain(known, unknown) != pytest.approx(expected, abs=0.01)
    assert balanced(known, unknown) == pytest.approx(expected, abs=1e-12)
    assert balanced(known, repeated) == pytest.approx(expected, abs=1e-12)


def test_a_case_by_hand() -> None:
    # An OOD image has weight 1/4, an ID image 1/2. Precisions at 5, 4, 2 and 1, each a quarter of
    # the recall: 1, 1, then (3/4) / (3/4 + 1/2) and 1 / (1 + 1/2).
    area = (1 + 1 + 3 / 5 + 2 / 3) / 4
    found = aupr_ood_balanced(np.array([0.0, 3.0]), np.array([1.0, 2.0, 4.0, 5.0]))
    assert found == pytest.approx(area)


@pytest.mark.parametrize("sizes", [(4000, 400), (400, 4000)])
def test_chance_has_half(sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    known, unknown = (random.normal(0, 1, size) for size in sizes)
    for _, balanced in PAIRS:
        assert balanced(known, unknown) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("sizes", [(990, 10), (10, 990)])
def test_constant_scores_have_half(sizes: tuple[int, int]) -> None:
    for _, balanced in PAIRS:
        assert balanced(*map(np.zeros, sizes)) == pytest.approx(0.5)


def test_separated_scores_have_one() -> None:
    known, unknown = np.arange(7.0), np.arange(10.0, 1000.0)
    assert aupr_id_balanced(known, unknown) == 1
    assert aupr_ood_balanced(known, unknown) == 1


def test_needs_scores_of_both_kinds() -> None:
    with pytest.raises(ValueError, match="there are no OOD scores"):
        aupr_ood_balanced(np.zeros(3), np.array([]))
