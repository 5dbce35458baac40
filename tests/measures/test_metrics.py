"""Check every metric against its definition, hand-computed cases and a second library."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pytorch_ood.metrics import functional
from sklearn.metrics import average_precision_score

from oodbench.measures import metrics
from oodbench.measures.use import Use, augrc, image_costs


def tied_scores(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ID scores, OOD scores and correctness of random sizes, with many ties."""
    random = np.random.default_rng(seed)
    id_scores = random.normal(0, 2, size=random.integers(5, 120)).round(seed % 3)
    ood_scores = random.normal(1, 2, size=random.integers(5, 120)).round(seed % 3)
    return id_scores, ood_scores, random.random(len(id_scores)) < 0.7


def as_torch(id_scores: np.ndarray, ood_scores: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pooled scores and labels, -1 for OOD, as pytorch-ood wants them."""
    labels = torch.tensor([0] * len(id_scores) + [-1] * len(ood_scores))
    return torch.from_numpy(np.concatenate([id_scores, ood_scores])), labels


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_pytorch_ood(seed: int) -> None:
    id_scores, ood_scores, correct = tied_scores(seed)
    scores, labels = as_torch(id_scores, ood_scores)
    predictions = torch.tensor([0 if right else 1 for right in correct] + [0] * len(ood_scores))

    assert metrics.auroc(id_scores, ood_scores) == pytest.approx(
        functional.auroc(scores, labels).item(), abs=1e-12
    )
    assert metrics.fpr95_ood(id_scores, ood_scores) == pytest.approx(
        functional.fpr_at_tpr(scores, labels, 0.95).item(), abs=1e-12
    )
    assert metrics.oscr(id_scores, ood_scores, correct) == pytest.approx(
        functional.oscr_score(scores, predictions, labels), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(12))
def test_aupr_is_the_average_precision_of_scikit_learn(seed: int) -> None:
    known, unknown, _ = tied_scores(seed)
    is_ood = np.repeat([0, 1], [len(known), len(unknown)])
    pooled = np.concatenate([known, unknown])
    found = [metrics.aupr_id(known, unknown), metrics.aupr_ood(known, unknown)]
    assert found == pytest.approx(
        [average_precision_score(1 - is_ood, -pooled), average_precision_score(is_ood, pooled)],
        abs=1e-12,
    )


def test_aupr_by_hand() -> None:
    # OOD positive, from the largest score down: 4 is OOD (precision 1/1), at 3 one of each (2/3),
    # 2 is ID, and 1 is OOD (3/5); each of the three raises recall by a third.
    known, unknown = np.array([3.0, 2.0]), np.array([4.0, 3.0, 1.0])
    assert metrics.aupr_ood(known, unknown) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # ID positive, from the smallest up: 1 is OOD, 2 is ID (1/2), at 3 one of each (2/4).
    assert metrics.aupr_id(known, unknown) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_constant_scores_have_the_prevalence_as_aupr_however_rare_ood_is() -> None:
    assert metrics.aupr_ood(np.zeros(990), np.zeros(10)) == pytest.approx(0.01)


@pytest.mark.parametrize("seed", range(12))
def test_fpr95_is_that_of_pytorch_ood_with_the_classes_swapped(seed: int) -> None:
    id_scores, ood_scores, _ = tied_scores(seed)
    scores, labels = as_torch(-ood_scores, -id_scores)
    assert metrics.fpr95(id_scores, ood_scores) == pytest.approx(
        functional.fpr_at_tpr(scores, labels, 0.95).item(), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(12))
def test_auroc_and_oscr_count_pairs(seed: int) -> None:
    id_scores, ood_scores, correct = tied_scores(seed)
    wins = (ood_scores[None, :] > id_scores[:, None]) + 0.5 * (
        ood_scores[None, :] == id_scores[:, None]
    )
    assert metrics.auroc(id_scores, ood_scores) == pytest.approx(wins.mean(), abs=1e-12)
    assert metrics.oscr(id_scores, ood_scores, correct) == pytest.approx(
        (wins * correct[:, None]).mean(), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(12))
def test_aurc_is_the_mean_selective_risk_over_the_images_own_thresholds(seed: int) -> None:
    id_scores, ood_scores, correct = tied_scores(seed)
    scores = np.concatenate([id_scores, ood_scores])
    fails = np.concatenate([~correct, np.ones(len(ood_scores), dtype=bool)])
    risks = [fails[scores <= score].mean() for score in scores]
    assert metrics.aurc(id_scores, ood_scores, correct) == pytest.approx(np.mean(risks), abs=1e-12)


def test_aurc_by_hand() -> None:
    # In order: right (0/1), wrong (1/2), OOD tied with right (2/4, twice), OOD (3/5).
    risk = metrics.aurc(
        np.array([1.0, 2.0, 3.0]), np.array([3.0, 9.0]), np.array([True, False, True])
    )
    assert risk == pytest.approx((0 + 1 / 2 + 2 / 4 + 2 / 4 + 3 / 5) / 5)


def test_oscr_by_hand() -> None:
    # Pairs of a correct ID image and an OOD image: 1 < 2, 1 < 3, 3 > 2, 3 = 3; the wrong one at 0.
    score = metrics.oscr(
        np.array([1.0, 3.0, 0.0]), np.array([2.0, 3.0]), np.array([True, True, False])
    )
    assert score == pytest.approx((1 + 1 + 0 + 0.5) / 6)


def test_oscr_of_a_classifier_that_is_always_wrong_is_zero() -> None:
    assert metrics.oscr(np.zeros(3), np.ones(2), np.zeros(3, dtype=bool)) == 0.0


def test_the_two_conventions_of_fpr95() -> None:
    id_scores, ood_scores = np.arange(30.0), np.arange(20) + 10.5
    # 19 of 20 OOD images score at least 11.5; so do the ID images 12 to 29.
    assert metrics.fpr95_ood(id_scores, ood_scores) == 18 / 30
    # 29 of 30 ID images score at most 28; so do the OOD images 10.5 to 27.5.
    assert metrics.fpr95(id_scores, ood_scores) == 18 / 20


def test_a_score_equal_to_the_threshold_is_on_the_kept_side() -> None:
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    assert metrics.accepted(scores, 2.0) == 0.75
    assert metrics.rejected(scores, 2.0) == 0.25
    assert metrics.fpr95(np.zeros(4), np.zeros(4)) == 1.0
    assert metrics.fpr95_ood(np.zeros(4), np.zeros(4)) == 1.0


@pytest.mark.parametrize(
    ("percent", "count", "rank"),
    [
        (95, 1, 1),
        (95, 19, 19),
        (95, 20, 19),
        (95, 21, 20),
        (95, 100, 95),
        (95, 1000, 950),
        (95, 100_000, 95_000),
        (99, 10, 10),
        (99, 100, 99),
        (99, 101, 100),
        (99, 1000, 990),
    ],
)
def test_threshold_is_the_ceiling_of_the_share(percent: int, count: int, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert metrics.threshold(percent, scores) == rank


def test_threshold_needs_a_share_to_keep() -> None:
    with pytest.raises(ValueError, match="between 1 % and 100 %"):
        metrics.threshold(0, np.arange(3.0))


def test_separated_scores_are_perfect() -> None:
    known, unknown = np.arange(2003.0), np.arange(3000.0, 4500.0)
    assert metrics.auroc(known, unknown) == 1.0
    assert metrics.auroc(unknown, known) == 0.0
    assert 1 - 1e-12 < metrics.aupr_id(known, unknown) <= 1.0
    assert 1 - 1e-12 < metrics.aupr_ood(known, unknown) <= 1.0
    assert metrics.fpr95(known, unknown) == metrics.fpr95_ood(known, unknown) == 0.0


def test_constant_scores_tell_nothing() -> None:
    known, unknown, correct = np.ones(30), np.ones(10), np.arange(30) < 27
    assert metrics.auroc(known, unknown) == 0.5
    assert metrics.aupr_id(known, unknown) == pytest.approx(30 / 40)
    assert metrics.aupr_ood(known, unknown) == pytest.approx(10 / 40)
    assert metrics.fpr95(known, unknown) == metrics.fpr95_ood(known, unknown) == 1.0
    assert metrics.oscr(known, unknown, correct) == pytest.approx(0.9 / 2)
    assert metrics.aurc(known, unknown, correct) == pytest.approx(13 / 40)
    assert metrics.tied_share(known, unknown) == 1.0


@pytest.mark.parametrize("unit", [1e30, -1e30, 1e300, 5e-324, 1e-30])
def test_magnitude_does_not_matter(unit: float) -> None:
    known, unknown = np.array([0.0, 1, 2, 2]), np.array([1.0, 2, 3])
    if unit < 0:
        known, unknown = unknown, known
    assert metrics.auroc(known * unit, unknown * unit) == pytest.approx(8.5 / 12)
    assert metrics.tied_share(known * unit, unknown * unit) == pytest.approx(5 / 7)


def test_huge_float32_scores_do_not_overflow() -> None:
    largest = np.finfo(np.float32).max
    known, unknown = np.array([-largest, 0.0], np.float32), np.array([0.0, largest], np.float32)
    assert metrics.auroc(known, unknown) == 0.875


def test_float32_neighbours_are_told_apart() -> None:
    lower = np.full(50, 1e8, dtype=np.float32)
    upper = np.nextafter(lower, np.float32(np.inf))
    assert metrics.auroc(lower, upper) == 1.0
    assert metrics.fpr95(lower, upper) == 0.0
    assert metrics.tied_share(lower, upper[:1]) == 50 / 51


def test_float32_and_float64_are_compared_exactly() -> None:
    narrow, wide = np.array([0.1], dtype=np.float32), np.array([0.1])
    assert metrics.auroc(wide, narrow) == 1.0
    assert metrics.tied_share(wide, narrow) == 0.0


def test_zero_and_minus_zero_tie() -> None:
    assert metrics.tied_share(np.array([0.0, 1.0]), np.array([-0.0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "metric", [metrics.auroc, metrics.aupr_id, metrics.aupr_ood, metrics.fpr95, metrics.fpr95_ood]
)
def test_a_missing_class_is_an_error(metric) -> None:
    with pytest.raises(ValueError, match=r"there are no \w+ scores; a measure needs at least one"):
        metric(np.arange(3.0), np.array([]))
    with pytest.raises(ValueError, match=r"there are no \w+ scores; a measure needs at least one"):
        metric(np.array([]), np.arange(3.0))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="1 of the 2 OOD scores are not finite"):
        metrics.auroc(np.arange(3.0), np.array([0.0, value]))


def test_scores_of_two_dimensions_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 1\); expected one dimension"):
        metrics.auroc(np.zeros((3, 1)), np.arange(3.0))


@pytest.mark.parametrize("metric", [metrics.oscr, metrics.aurc])
def test_each_id_score_needs_a_prediction(metric) -> None:
    with pytest.raises(ValueError, match="3 ID scores, but predictions for 2 images"):
        metric(np.arange(3.0), np.arange(3.0), np.ones(2, dtype=bool))


def test_accuracy_is_the_share_of_correct_images() -> None:
    assert metrics.id_accuracy(np.array([True, True, False, True])) == 0.75
    with pytest.raises(ValueError, match="no images"):
        metrics.id_accuracy(np.array([], dtype=bool))


@pytest.mark.parametrize("values", [[0, 1, 2, 2], [0.5, 1], [np.nan, 1], [-1, 0], ["a", "b"]])
def test_classes_are_not_taken_for_flags(values: list[object]) -> None:
    flags, scores = np.array(values), np.arange(float(len(values)))
    for measure in (
        lambda: metrics.id_accuracy(flags),
        lambda: metrics.oscr(scores, scores, flags),
        lambda: metrics.aurc(scores, scores, flags),
        lambda: augrc(scores, scores, flags, share=0.1),
        lambda: image_costs(scores, [scores], flags, 1.0, Use(0.1)),
    ):
        with pytest.raises(ValueError, match="compare predictions with labels"):
            measure()


@pytest.mark.parametrize("dtype", [bool, int, np.uint8, float, object])
def test_flags_may_be_numbers(dtype: type) -> None:
    assert metrics.id_accuracy(np.array([1, 1, 0, 1], dtype)) == 0.75
