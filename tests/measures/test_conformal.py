"""Check that false alarms keep their rate in finite samples, and p-values agree with thresholds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from false_alarms import check_rate, check_rate_by_class

from oodbench.measures.conformal import conformal_p_values, conformal_threshold
from oodbench.results.run import read_run

KEPT = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize(
    ("count", "alpha", "rank"),
    [
        (19, 0.05, 19),
        (20, 0.05, 20),
        (99, 0.05, 95),
        (999, 0.05, 950),
        (999, 0.1, 900),
        (9, 0.1, 9),
    ],
)
def test_the_threshold_is_a_score_in_order(count: int, alpha: float, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_threshold(alpha, scores) == rank


def test_too_few_scores_reject_nothing() -> None:
    assert conformal_threshold(0.05, np.arange(18.0)) == math.inf
    assert conformal_p_values(np.array([1e9]), np.arange(18.0)) == pytest.approx(1 / 19)
    assert list(conformal_p_values(np.array([1e9]), np.zeros(0))) == [1.0]


@pytest.mark.parametrize("decimals", [0, 8])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.3])
def test_what_exceeds_the_threshold_has_a_p_value_of_at_most_alpha(
    alpha: float, decimals: int
) -> None:
    random = np.random.default_rng(1)
    for count in (5, 19, 20, 99, 100, 333):
        calibration = random.normal(0, 1, count).round(decimals)
        scores = np.concatenate([calibration, random.normal(0, 2, 200).round(decimals)])
        rejected = scores > conformal_threshold(alpha, calibration)
        assert np.array_equal(rejected, conformal_p_values(scores, calibration) <= alpha)


def test_p_values_count_calibration_scores_by_hand() -> None:
    found = conformal_p_values(np.array([0.0, 2.0, 2.5, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert list(found) == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, math.nan])
def test_an_impossible_rate_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="no rate of false alarms"):
        conformal_threshold(alpha, np.arange(10.0))


RUNS = {
    "digits": ("ganad", "ganad-joint", "energy", "msp"),
    "mnist-posthoc": ("knn", "vim", "mahalanobis", "react", "gen"),
}


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize(
    ("run", "detector"), [(run, detector) for run, own in RUNS.items() for detector in own]
)
def test_false_alarms_keep_their_rate_over_1000_random_splits(
    run: str, detector: str, alpha: float
) -> None:
    frame = read_run(KEPT / run).scores()
    own = frame[(frame["detector"] == detector) & (frame["split"] == "test")]
    own = own[(own["seed"].isna()) | (own["seed"] == 0)]
    scores = own[own["dataset"] == own["dataset"].iloc[0]]["score"].to_numpy()[:1000]
    check_rate(scores, len(scores) // 2, alpha)


def test_the_rate_holds_for_each_predicted_class_too() -> None:
    run = read_run(KEPT / "mnist-posthoc")
    frame, predictions = run.scores(), run.predictions()
    id_dataset = run.records["id_dataset"].iloc[0]
    own = frame[(frame["detector"] == "energy") & (frame["dataset"] == id_dataset)]
    own = own[own["split"] == "test"].sort_values("index")
    made = predictions[(predictions["dataset"] == id_dataset) & (predictions["split"] == "test")]
    made = made.set_index("index").loc[own["index"]]
    check_rate_by_class(own["score"].to_numpy(), made["prediction"].to_numpy(), 0.1)
