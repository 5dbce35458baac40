"""The evaluation of a detector: one record, or all records of a run from its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.errors import InvalidData
from oodbench.measures import metrics
from oodbench.measures.arrays import DETECTOR_RUN, checked_flags
from oodbench.measures.intervals import mean_auroc_interval
from oodbench.measures.pooled import pool

if TYPE_CHECKING:
    import pandas as pd

    from oodbench.measures.arrays import Flags, Labels, Scores


def correctness(labels: Labels, predictions: Labels) -> Flags | None:
    """Return whether the classifier is right about each image; None if one has no label.

    Args:
        labels: (n,) int64, the classes; -1 where there are none.
        predictions: (n,) int64, what the classifier takes them for.
    """
    return None if (labels < 0).any() else np.asarray(labels == predictions, dtype=np.bool_)


def evaluate_ood(
    *,
    id_scores: Scores,
    calibration_scores: Scores | None,
    ood_scores: Scores,
    correct: Flags | None,
) -> dict[str, float]:
    """Return every measure of one detector on one OOD set, by the column names of the records.

    Args:
        id_scores: (n,) scores of the ID test images.
        calibration_scores: (c,) scores of the ID training images that the thresholds of `acc95`
            and `acc99` are taken from; these too are in the row. Without them (None) it has none
            of these four.
        ood_scores: (m,) scores of the OOD images.
        correct: (n,) whether the classifier is right about each ID test image. Without it (None)
            the measures that judge the classifier are left out.

    Raises:
        ValueError: if there are no scores of a kind, some are not finite, or lengths differ.
    """
    limits = _thresholds(calibration_scores)
    row: dict[str, float] = {
        **{f"acc{kept}": metrics.rejected(ood_scores, limit) for kept, limit in limits.items()},
        **_named(limits),
        "n_id": len(id_scores),
        "n_ood": len(ood_scores),
    }
    pooled = pool(id_scores, ood_scores, correct)
    row |= {
        "auroc": pooled.auroc(),
        "aupr_id": pooled.aupr_id(),
        "aupr_ood": pooled.aupr_ood(),
        "fpr95": pooled.fpr95(),
        "fpr95_ood": pooled.fpr95_ood(),
        "ties": pooled.tied_share(),
    }
    row["auroc_low"], row["auroc_high"] = mean_auroc_interval(pooled.components())
    if correct is not None:
        row |= {"id_accuracy": metrics.id_accuracy(correct), "aurc": pooled.aurc()}
        pooled = pooled.right()  # the others are not needed any more, and large
        row["oscr"] = row["id_accuracy"] * pooled.auroc()
    return row


def evaluate_id(
    *, id_scores: Scores, calibration_scores: Scores | None, correct: Flags | None
) -> dict[str, float]:
    """Return the measures of one detector on the ID test images, by column names of the records.

    `acc95` and `acc99` are shares of accepted images here. Measures that compare with OOD images
    are left out, and `n_ood` is 0. Arguments and errors are those of `evaluate_ood`.
    """
    limits = _thresholds(calibration_scores)
    row: dict[str, float] = {
        **{f"acc{kept}": metrics.accepted(id_scores, limit) for kept, limit in limits.items()},
        **_named(limits),
        "n_id": len(id_scores),
        "n_ood": 0,
        "ties": metrics.tied_share(id_scores),
    }
    if correct is not None:
        row["id_accuracy"] = metrics.id_accuracy(checked_flags(correct, id_scores))
    return row


def _thresholds(calibration_scores: Scores | None) -> dict[int, float]:
    """Return the scores that 95 % and 99 % of the calibration images do not exceed."""
    if calibration_scores is None:
        return {}
    return {kept: metrics.threshold(kept, calibration_scores) for kept in (95, 99)}


def _named(limits: dict[int, float]) -> dict[str, float]:
    return {f"threshold{kept}": limit for kept, limit in limits.items()}


def recompute(
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    id_dataset: str | None = None,
    *,
    classified: bool = True,
) -> pd.DataFrame:
    """Return the records of one run, every measure computed anew from its files alone.

    Failed detectors left no scores and have no rows; the times are NaN, being nowhere else.

    Args:
        scores: as in ``scores.parquet``, of one ID data set.
        predictions: as in ``predictions.parquet``.
        id_dataset: title of the ID set, for runs of scores alone, which may lack calibration scores
            and predictions, and then lack the measures that need them; None for the set that has
            calibration scores.
        classified: whether there was a classifier; without one there are no predictions.

    Raises:
        InvalidData: if a detector lacks its calibration or ID test scores, or an ID test image
            lacks its prediction.
    """
    rows: list[dict[str, Any]] = []
    for key, own in scores.groupby(DETECTOR_RUN, sort=False, observed=True, dropna=False):
        names = dict(zip(DETECTOR_RUN, key, strict=True))
        judged = classified and (id_dataset is None or not predictions.empty)
        found = _recompute_detector(names, own, predictions if judged else None, id_dataset)
        rows += [{**names, **row} for row in found]
    from oodbench.results.columns import records_frame

    return records_frame(rows)


def _recompute_detector(
    names: dict[str, Any],
    scores: pd.DataFrame,
    predictions: pd.DataFrame | None,
    expected: str | None,
) -> Iterator[dict[str, Any]]:
    """Yield the ID record of one fitted detector, then one for each OOD set."""
    calibration = scores[scores["split"] == "calibration"]
    id_names = list(calibration["dataset"].unique())
    if expected is not None:
        id_names = list({expected, *id_names})
    test = scores[scores["split"] == "test"]
    known = test[test["dataset"].isin(id_names)]
    if len(id_names) != 1 or known.empty:
        raise InvalidData(
            f"the scores of {names['detector']} must hold calibration and test images of one ID "
            f"data set; found calibration images of {', '.join(id_names) or 'none'} and "
            f"{len(known)} test images of it"
        )
    id_dataset = str(id_names[0])
    given: dict[str, Any] = {
        "id_scores": known["score"].to_numpy(),
        "calibration_scores": None if calibration.empty else calibration["score"].to_numpy(),
        "correct": None
        if predictions is None
        else id_correctness(names, id_dataset, known["index"].to_numpy(), predictions),
    }
    yield {"id_dataset": id_dataset, "ood_dataset": "", **evaluate_id(**given)}
    others = test[test["dataset"] != id_dataset]
    for ood_dataset, unknown in others.groupby("dataset", sort=False, observed=True):
        measures = evaluate_ood(ood_scores=unknown["score"].to_numpy(), **given)
        yield {"id_dataset": id_dataset, "ood_dataset": ood_dataset, **measures}


def id_correctness(
    names: Mapping[str, Any], id_dataset: str, images: Scores, predictions: pd.DataFrame
) -> Flags | None:
    """Return whether the classifier is right about each ID test image; None if one has no label.

    Args:
        names: values of `DETECTOR_RUN`.
        id_dataset: title of the ID set.
        images: (n,) their indices.
        predictions: as in ``predictions.parquet``.

    Raises:
        InvalidData: if an image lacks its prediction.
    """
    own = predictions[
        (predictions["classifier"] == names["classifier"])
        & (predictions["classifier_seed"] == names["classifier_seed"])
        & (predictions["dataset"] == id_dataset)
        & (predictions["split"] == "test")
    ].set_index("index")
    missing = len(np.setdiff1d(images, own.index))
    if missing:
        raise InvalidData(
            f"{missing} of the {len(images)} test images of {id_dataset} have scores of "
            f"{names['detector']}, but no prediction of {names['classifier']}"
        )
    own = own.loc[images]
    return correctness(own["label"].to_numpy(), own["prediction"].to_numpy())
