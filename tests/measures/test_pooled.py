"""Measures of scores that are sorted once equal those of scikit-learn to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_curve

from oodbench.measures import auroc_interval, components, evaluate_ood
from oodbench.measures.intervals import mean_auroc_interval
from oodbench.measures.pooled import pool


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ID scores, OOD scores and whether ID images are right; with and without ties."""
    random = np.random.default_rng(seed)
    known, unknown = random.integers(1, 400 if seed % 4 else 3, 2)
    shift, decimals = random.choice([0, 1, 3, 50, -50]), random.integers(0, 8)
    scores = [
        random.normal(each, 1, n).round(decimals) for each, n in ((0, known), (shift, unknown))
    ]
    if seed % 3 == 0:
        scores = [each.astype(np.float32) for each in scores]
    return scores[0], scores[1], random.random(known) < random.choice([0, 0.5, 0.9, 1])


@pytest.mark.parametrize("seed", range(60))
def test_areas_equal_those_of_scikit_learn(seed: int) -> None:
    known, unknown, correct = draw(seed)
    is_ood = np.repeat([False, True], [len(known), len(unknown)])
    scores = np.concatenate([known, unknown])
    row = evaluate_ood(
        id_scores=known, ood_scores=unknown, calibration_scores=None, correct=correct
    )
    assert row["auroc"] == auc(*roc_curve(is_ood, scores)[:2])
    assert row["aupr_ood"] == min(average_precision_score(is_ood, scores), 1)
    assert row["aupr_id"] == min(average_precision_score(~is_ood, -scores), 1)
    if correct.any():
        kept = np.concatenate([correct, np.ones(len(unknown), bool)])
        area = auc(*roc_curve(is_ood[kept], scores[kept])[:2])
        assert row["oscr"] == np.mean(correct) * area
    else:
        assert row["oscr"] == 0


@pytest.mark.parametrize("seed", range(60))
def test_counts_equal_those_of_a_plain_count(seed: int) -> None:
    known, unknown, correct = draw(seed)
    scores = np.concatenate([known, unknown])
    fails = np.concatenate([~correct, np.ones(len(unknown), bool)])
    found = pool(known, unknown, correct)
    limit = np.sort(known)[-(-95 * len(known) // 100) - 1]
    assert found.fpr95() == np.mean(unknown <= limit)
    limit = np.sort(unknown)[::-1][-(-95 * len(unknown) // 100) - 1]
    assert found.fpr95_ood() == np.mean(known >= limit)
    assert found.tied_share() == np.mean([(scores == each).sum() > 1 for each in scores])
    risks = [fails[scores <= each].mean() for each in scores]
    assert found.aurc() == pytest.approx(np.mean(risks), abs=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_the_interval_is_that_of_delongs_components(seed: int) -> None:
    known, unknown, _ = draw(seed)
    found = pool(known, unknown).components()
    expected = components(np.sort(known), [np.sort(unknown)])
    np.testing.assert_array_equal(found.known, expected.known)
    np.testing.assert_array_equal(found.unknown[0], expected.unknown[0])
    assert mean_auroc_interval(found) == auroc_interval(np.sort(known), np.sort(unknown))


def test_what_the_classifier_gets_wrong_must_be_known() -> None:
    found = pool(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="AURC needs to know"):
        found.aurc()
    with pytest.raises(ValueError, match="it is not known which"):
        found.right()


def test_blocks_change_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    known, unknown, correct = draw(5)
    whole = pool(known, unknown, correct)
    monkeypatch.setattr("oodbench.measures.pooled._BLOCK", 7)
    parts = pool(known, unknown, correct)
    np.testing.assert_array_equal(parts.known, whole.known)
    assert (parts.aupr_id(), parts.aupr_ood()) == (whole.aupr_id(), whole.aupr_ood())
