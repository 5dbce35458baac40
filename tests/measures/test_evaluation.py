"""Check that every figure of a record follows from the stored scores and predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score, roc_curve

from oodbench.errors import InvalidData
from oodbench.measures.evaluation import evaluate_id, evaluate_ood, recompute
from oodbench.results.columns import MEASURES, records_frame

RUN = {"classifier": "resnet", "classifier_seed": 0}


def scored(
    detector: str, seed: int | None, sets: dict[tuple[str, str], np.ndarray]
) -> pd.DataFrame:
    """Return the score rows of one detector from its scores by (data set, split)."""
    parts = [
        pd.DataFrame(
            {**RUN, "detector": detector, "dataset": dataset, "split": split, "score": scores}
        ).assign(seed=pd.Series([seed] * len(scores), dtype="Int64"), index=range(len(scores)))
        for (dataset, split), scores in sets.items()
    ]
    return pd.concat(parts, ignore_index=True)


def draw(seed: int, decimals: int) -> dict[tuple[str, str], np.ndarray]:
    """Return float32 scores, rounded so that they tie."""
    random = np.random.default_rng(seed)

    def scores(mean: float, count: int) -> np.ndarray:
        return random.normal(mean, 2, count).round(decimals).astype(np.float32)

    return {
        ("digits", "calibration"): scores(0, 40),
        ("digits", "test"): scores(0, 100),
        ("glyphs", "test"): scores(3, 70),
        ("noise", "test"): scores(1, 30),
    }


@pytest.fixture
def predictions() -> pd.DataFrame:
    random = np.random.default_rng(7)
    label = random.integers(0, 10, 100)
    prediction = np.where(random.random(100) < 0.2, (label + 1) % 10, label)
    frame = pd.DataFrame(
        {**RUN, "dataset": "digits", "split": "test", "label": label, "prediction": prediction}
    ).assign(index=range(100))
    # The files may list the images in another order than the scores.
    return frame.sample(frac=1, random_state=0, ignore_index=True)


@pytest.fixture
def scores() -> pd.DataFrame:
    constant = {key: np.full_like(values, 0.5) for key, values in draw(0, 1).items()}
    return pd.concat(
        [
            scored("ganad", 0, draw(0, 6)),
            scored("ganad", 3, draw(1, 6)),
            scored("tied", None, draw(2, 0)),
            scored("constant", None, constant),
        ],
        ignore_index=True,
    )


def independent_row(
    known: np.ndarray, calibration: np.ndarray, unknown: np.ndarray, correct: np.ndarray
) -> dict[str, float]:
    """Compute the measures of an OOD row from scikit-learn, SciPy and pairs alone."""
    known, calibration, unknown = (part.astype(float) for part in (known, calibration, unknown))
    is_ood = np.repeat([0, 1], [len(known), len(unknown)])
    pooled = np.concatenate([known, unknown])
    false_positives, true_positives, _ = roc_curve(is_ood, pooled, drop_intermediate=False)
    ordered, trained = np.sort(known), np.sort(calibration)
    limits = [trained[(kept * len(calibration) + 99) // 100 - 1] for kept in (95, 99)]
    wins = (unknown > known[:, None]) + 0.5 * (unknown == known[:, None])
    fails = np.concatenate([~correct, np.ones(len(unknown), bool)])
    return {
        "auroc": roc_auc_score(is_ood, pooled),
        "aupr_id": np.mean([np.mean(is_ood[pooled <= score] == 0) for score in known]),
        "aupr_ood": np.mean([np.mean(is_ood[pooled >= score]) for score in unknown]),
        "fpr95": np.mean(unknown <= ordered[(95 * len(known) + 99) // 100 - 1]),
        "fpr95_ood": false_positives[np.argmax(true_positives >= 0.95)],
        "acc95": np.mean(unknown > limits[0]),
        "acc99": np.mean(unknown > limits[1]),
        "threshold95": limits[0],
        "threshold99": limits[1],
        "id_accuracy": np.mean(correct),
        "oscr": np.mean(wins * correct[:, None]),
        "aurc": np.mean([fails[pooled <= score].mean() for score in pooled]),
        "ties": 1 - (pd.Series(pooled).value_counts() == 1).sum() / len(pooled),
    }


def test_every_column_agrees_with_an_independent_computation(
    scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    records = recompute(scores, predictions)
    ordered = predictions.sort_values("index")
    correct = (ordered["label"] == ordered["prediction"]).to_numpy()
    assert len(records) == 4 * 3
    for _, row in records[records["ood_dataset"] != ""].iterrows():
        own = scores[
            (scores["detector"] == row["detector"])
            & (scores["seed"].fillna(-1) == (-1 if pd.isna(row["seed"]) else row["seed"]))
        ]
        parts = {key: part["score"].to_numpy() for key, part in own.groupby(["dataset", "split"])}
        expected = independent_row(
            parts["digits", "test"],
            parts["digits", "calibration"],
            parts[row["ood_dataset"], "test"],
            correct,
        )
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-9)
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert (row["n_id"], row["n_ood"]) == (100, len(parts[row["ood_dataset"], "test"]))


def test_auroc_agrees_with_mann_whitney(scores: pd.DataFrame, predictions: pd.DataFrame) -> None:
    records = recompute(scores, predictions).set_index(["detector", "ood_dataset"]).sort_index()
    tied = scores[(scores["detector"] == "tied") & (scores["split"] == "test")]
    known, unknown = (
        tied[tied["dataset"] == name]["score"].astype(float) for name in ("digits", "noise")
    )
    statistic = mannwhitneyu(unknown, known).statistic
    assert records.loc[("tied", "noise"), "auroc"] == pytest.approx(statistic / 3000, abs=1e-12)


def test_the_id_row_counts_accepted_images(scores: pd.DataFrame, predictions: pd.DataFrame) -> None:
    records = recompute(scores, predictions)
    row = records[(records["detector"] == "constant") & (records["ood_dataset"] == "")].iloc[0]
    assert (row["id_dataset"], row["acc95"], row["acc99"], row["ties"]) == ("digits", 1, 1, 1)
    assert (row["n_id"], row["n_ood"]) == (100, 0)
    assert row["id_accuracy"] == (predictions["label"] == predictions["prediction"]).mean()
    assert (row["threshold95"], row["threshold99"]) == (0.5, 0.5)
    given = ("acc95", "acc99", "threshold95", "threshold99", "id_accuracy")
    assert row[[name for name in MEASURES if name not in given]].isna().all()


def test_rows_come_in_the_order_of_the_scores(
    scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    records = recompute(scores, predictions)
    assert list(records["ood_dataset"]) == ["", "glyphs", "noise"] * 4
    assert records["detector"].unique().tolist() == ["ganad", "tied", "constant"]
    assert records["seed"].tolist() == [0] * 3 + [3] * 3 + [pd.NA] * 6


def test_recomputation_gives_what_was_recorded(predictions: pd.DataFrame) -> None:
    parts = draw(5, 2)
    ordered = predictions.sort_values("index")
    given = {
        "id_scores": parts["digits", "test"],
        "calibration_scores": parts["digits", "calibration"],
        "correct": (ordered["label"] == ordered["prediction"]).to_numpy(),
    }
    names = {**RUN, "id_dataset": "digits", "detector": "ganad", "seed": 2}
    recorded = records_frame(
        [
            {**names, "ood_dataset": "", **evaluate_id(**given)},
            *(
                {
                    **names,
                    "ood_dataset": name,
                    **evaluate_ood(ood_scores=parts[name, "test"], **given),
                }
                for name in ("glyphs", "noise")
            ),
        ]
    )
    pd.testing.assert_frame_equal(recompute(scored("ganad", 2, parts), predictions), recorded)


def test_without_a_label_the_measures_of_the_classifier_are_missing(
    predictions: pd.DataFrame,
) -> None:
    own = ["id_accuracy", "oscr", "aurc"]
    scores = scored("ganad", 2, draw(5, 2))
    labelled = recompute(scores, predictions)
    predictions.loc[0, "label"] = -1
    records = recompute(scores, predictions)
    assert records[own].isna().all(axis=None)
    pd.testing.assert_frame_equal(records.drop(columns=own), labelled.drop(columns=own))


def test_the_order_of_the_images_changes_no_bit() -> None:
    parts, random = draw(5, 1), np.random.default_rng(0)
    known, unknown, correct = parts["digits", "test"], parts["noise", "test"], np.arange(100) < 80
    order = random.permutation(100)
    given = {"calibration_scores": parts["digits", "calibration"]}
    once = evaluate_ood(id_scores=known, ood_scores=unknown, correct=correct, **given)
    again = evaluate_ood(
        id_scores=known[order],
        ood_scores=random.permutation(unknown),
        correct=correct[order],
        **given,
    )
    assert once == again


def test_scores_without_calibration_images_are_refused(
    scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    with pytest.raises(InvalidData, match="the scores of ganad must hold calibration and test"):
        recompute(scores[scores["split"] == "test"], predictions)


def test_an_image_without_a_prediction_is_named(
    scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    with pytest.raises(InvalidData, match="2 of the 100 test images of digits have scores"):
        recompute(scores, predictions.iloc[2:])


def test_predictions_must_be_as_many_as_the_scores() -> None:
    given = {"id_scores": np.zeros(3), "calibration_scores": np.zeros(3), "correct": np.ones(4)}
    with pytest.raises(ValueError, match="3 ID scores, but predictions for 4 images"):
        evaluate_id(**given)
    with pytest.raises(ValueError, match="3 ID scores, but predictions for 4 images"):
        evaluate_ood(ood_scores=np.ones(2), **given)
