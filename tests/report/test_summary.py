"""Check how runs are brought together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from oodbench.report.summary import means_over_sets, summarise
from oodbench.results.columns import records_frame


def record(detector: str, seed: int | None, ood: str, auroc: float | None, **others) -> dict:
    return {
        "id_dataset": "mnist",
        "ood_dataset": ood,
        "detector": detector,
        "classifier": "resnet",
        "classifier_seed": 0,
        "seed": seed,
        "auroc": auroc,
        "ties": 0.0,
        **others,
    }


def test_mean_and_deviation_are_over_all_pairs_of_seeds() -> None:
    values = [0.90, 0.92, 0.97, 0.91]
    records = records_frame(
        record("ganad", number % 2, "svhn", value, classifier_seed=number // 2)
        for number, value in enumerate(values)
    )
    (line,) = summarise(records, ["auroc"]).to_dict("records")
    assert line["n_seeds"] == 4
    assert line["auroc_mean"] == pytest.approx(np.mean(values))
    assert line["auroc_std"] == pytest.approx(np.std(values, ddof=1))
    # both runs on a classifier share what is particular about it: only their means are independent
    classifiers = [0.91, 0.94]
    expected = t.interval(0.95, 1, np.mean(values), np.std(classifiers, ddof=1) / 2**0.5)
    assert (line["auroc_low"], line["auroc_high"]) == pytest.approx(expected)


def test_a_single_run_keeps_its_own_interval_and_has_no_deviation() -> None:
    records = records_frame([record("msp", None, "svhn", 0.9, auroc_low=0.88, auroc_high=0.91)])
    (line,) = summarise(records, ["auroc"]).to_dict("records")
    assert (line["n_seeds"], line["auroc_mean"]) == (1, 0.9)
    assert (line["auroc_low"], line["auroc_high"]) == (0.88, 0.91)
    assert np.isnan(line["auroc_std"])


def test_failed_runs_are_left_out() -> None:
    records = records_frame(
        [
            record("ganad", 0, "svhn", 0.9, ties=0.1),
            record("ganad", 1, "svhn", None, status="failed", error="NaN"),
            record("msp", None, "svhn", None, status="failed", error="NaN"),
        ]
    )
    lines = summarise(records, ["auroc"]).set_index("detector")
    assert lines["n_seeds"].to_dict() == {"ganad": 1, "msp": 0}
    assert lines.loc["ganad", ["auroc_mean", "ties"]].tolist() == [0.9, 0.1]
    assert lines.loc["msp", ["auroc_mean", "auroc_std", "ties"]].isna().all()


def test_lines_keep_the_order_of_the_records_and_begin_with_the_id_set() -> None:
    records = records_frame(
        record(detector, 0, ood, 0.5) for detector in ("z", "a") for ood in ("svhn", "", "letters")
    )
    lines = summarise(records, ["auroc"])
    assert list(zip(lines["ood_dataset"], lines["detector"], strict=True)) == [
        (ood, detector) for ood in ("", "svhn", "letters") for detector in ("z", "a")
    ]


def test_the_mean_over_sets_is_taken_in_each_run() -> None:
    records = records_frame(
        record("ganad", seed, ood, auroc)
        for seed, ood, auroc in [(0, "a", 0.8), (0, "b", 0.9), (1, "a", 0.6), (1, "b", 0.9)]
    )
    means = means_over_sets(records, ["auroc"], ["a", "b"])
    assert means["auroc"].tolist() == pytest.approx([0.85, 0.75])


@pytest.mark.parametrize("second", [[], [{"status": "failed", "error": "NaN"}]])
def test_a_run_that_lacks_a_set_has_no_mean_over_sets(second: list[dict]) -> None:
    records = records_frame(
        [
            record("ganad", 0, "a", 0.8),
            record("ganad", 0, "b", 0.8),
            record("ganad", 1, "a", 0.6),
            *(record("ganad", 1, "b", None, **outcome) for outcome in second),
        ]
    )
    assert means_over_sets(records, ["auroc"], ["a", "b"])["seed"].tolist() == [0]


def test_a_mean_over_some_sets_needs_no_others() -> None:
    records = records_frame([record("x", 0, "a", 0.8), record("x", 0, "b", None, status="failed")])
    means = means_over_sets(records, ["auroc"], ["a"])
    assert means["auroc"].tolist() == [0.8]
    assert means["auroc_low"].isna().all()


def test_no_run_on_every_set_leaves_no_mean() -> None:
    records = records_frame([record("x", 0, "a", 0.8), record("y", 0, "b", 0.8)])
    assert means_over_sets(records, ["auroc"], ["a", "b"]).empty
    assert isinstance(summarise(records.iloc[:0], ["auroc"]), pd.DataFrame)
