"""What the plots and galleries of a run show: scores, labels and predictions of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from oodbench.measures.arrays import Flags, Labels
from oodbench.measures.metrics import threshold
from oodbench.report.pictures import Values
from oodbench.results.run import Run

PERCENT = 95
"""The share of calibration images that the threshold keeps."""


@dataclass(frozen=True)
class Judged:
    """The test images of a data set as one fitted detector judged them.

    Attributes:
        scores: (n,) float64, larger = more likely OOD.
        indices: (n,) int64, their positions in the data set.
        labels: (n,) int64, their classes; -1 where there are none.
        predictions: (n,) int64, what the classifier takes them for.
        limit: the score that 95 % of the calibration images do not exceed; None without any.
    """

    scores: Values
    indices: npt.NDArray[np.int64]
    labels: Labels
    predictions: Labels
    limit: float | None

    @property
    def rejected(self) -> Flags:
        """Return which images are rejected, (n,); none without a `limit`."""
        flags: Flags = self.scores > (np.inf if self.limit is None else self.limit)
        return flags


@dataclass(frozen=True)
class Shown:
    """One fit of each detector: the first classifier seed and seed.

    Attributes:
        id_dataset: title of the ID set.
        sets: titles of the OOD sets.
        detectors: names, in the order of the records.
        judged: by detector and title of a data set; a detector may lack some.
        classes: names of classes by their labels, by the title of a set of some classes of another.
    """

    id_dataset: str
    sets: tuple[str, ...]
    detectors: tuple[str, ...]
    judged: Mapping[tuple[str, str], Judged]
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def class_name(self, title: str, label: int) -> str:
        """Return what to call a class of a data set."""
        names = self.classes.get(title, ())
        return names[label] if label < len(names) else str(label)

    def pairs(self, title: str) -> Iterator[tuple[str, Values, Values]]:
        """Yield detector, ID scores and scores of an OOD set, where there are both."""
        for detector in self.detectors:
            known = self.judged.get((detector, self.id_dataset))
            unknown = self.judged.get((detector, title))
            if known is not None and unknown is not None:
                yield detector, known.scores, unknown.scores


def read_shown(run: Run) -> Shown:
    """Read the scores, labels and predictions that the page of a run shows.

    Raises:
        InvalidData: if its scores or predictions are missing or damaged.
    """
    records, frame, predictions = run.records, run.scores(), run.predictions()
    parts: dict[tuple[str, str, str], pd.DataFrame] = {}
    groups: Any = frame.groupby(["detector", "dataset", "split"], sort=False, observed=True)
    for (detector, title, split), own in groups:
        parts[str(detector), str(title), str(split)] = _first_fit(own)
    id_dataset = str(records["id_dataset"].iloc[0])
    limits = {
        detector: threshold(PERCENT, part["score"].to_numpy())
        for (detector, title, split), part in parts.items()
        if split == "calibration" and title == id_dataset
    }
    judged = {
        (detector, title): _judge(part, predictions, title, limits.get(detector))
        for (detector, title, split), part in parts.items()
        if split == "test"
    }
    sets = records.loc[records["ood_dataset"] != "", "ood_dataset"].unique()
    detectors = tuple(map(str, records["detector"].unique()))
    classes = run.info.get("classes", {})
    return Shown(id_dataset, tuple(map(str, sets)), detectors, judged, classes)


def _first_fit(own: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first classifier seed and seed."""
    seeds = own[["classifier_seed", "seed"]].drop_duplicates()
    first = seeds.sort_values(["classifier_seed", "seed"]).iloc[0]
    chosen: pd.DataFrame = own[own["classifier_seed"] == first["classifier_seed"]]
    if not pd.isna(first["seed"]):
        chosen = chosen[chosen["seed"] == first["seed"]]
    return chosen


def _judge(
    part: pd.DataFrame, predictions: pd.DataFrame, title: str, limit: float | None
) -> Judged:
    own = predictions[
        (predictions["classifier"] == part["classifier"].iloc[0])
        & (predictions["classifier_seed"] == part["classifier_seed"].iloc[0])
        & (predictions["dataset"] == title)
        & (predictions["split"] == "test")
    ].set_index("index")
    indices = part["index"].to_numpy(np.int64)
    # An image without a prediction has no class either, and its scores are shown all the same.
    own = own.reindex(indices)[["label", "prediction"]].fillna(-1).astype("int64")
    return Judged(
        part["score"].to_numpy(np.float64),
        indices,
        own["label"].to_numpy(),
        own["prediction"].to_numpy(),
        limit,
    )
