"""The columns of the files that a run leaves: their names, dtypes and bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

KEY = ["id_dataset", "ood_dataset", "detector", "classifier", "classifier_seed", "seed"]
"""The columns that name a record. ``ood_dataset`` is empty in the row of the ID set itself, and
``seed`` is missing where the detector draws nothing and was computed once for each classifier."""

MEASURES = [
    "auroc",
    "auroc_low",
    "auroc_high",
    "aupr_id",
    "aupr_ood",
    "fpr95",
    "fpr95_ood",
    "acc95",
    "acc99",
    "threshold95",
    "threshold99",
    "id_accuracy",
    "oscr",
    "aurc",
]
"""The columns of measures: scores in the columns of thresholds, else fractions in [0, 1]; missing
where a row has none."""

RECORD = {
    **dict.fromkeys(KEY[:4], "str"),
    "classifier_seed": "int64",
    "seed": "Int64",
    **dict.fromkeys(MEASURES, "float64"),
    "n_id": "Int64",
    "n_ood": "Int64",
    "ties": "float64",
    "fit_seconds": "float64",
    "score_seconds": "float64",
    "status": "str",
    "error": "str",
}
"""Columns and dtypes of the records. ``status`` is ``ok`` or ``failed``."""

BOUNDS = {
    **{name: (0, 1) for name in (*MEASURES, "ties") if not name.startswith("threshold")},
    **dict.fromkeys(["n_id", "n_ood"], (0, 10**12)),
    **dict.fromkeys(["fit_seconds", "score_seconds"], (0, 10**9)),
}
"""The smallest and the largest value of some columns."""

SCORE = {
    "detector": "category",
    "classifier": "category",
    "classifier_seed": "int64",
    "seed": "Int64",
    "dataset": "category",
    "split": "category",
    "index": "int64",
    "score": "float64",
}
"""Columns and dtypes of the scores. ``split`` is ``calibration`` (images drawn from the ID training
set) or ``test``, ``index`` the position of the image in its split, and ``score`` as computed,
larger = more likely OOD. The column stays float32 where every score is."""

PREDICTION = {
    "classifier": "category",
    "classifier_seed": "int64",
    "dataset": "category",
    "split": "category",
    "index": "int64",
    "label": "int64",
    "prediction": "int64",
}
"""Columns and dtypes of the predictions."""

PUBLISHED = (
    "source",
    "url",
    "table",
    "id_dataset",
    "detector",
    "ood_dataset",
    "measure",
    "percent",
    "std",
    "runs",
    "protocol",
    "note",
    "benchmark",
    "measured_by",
)
"""The header of a file of published figures. ``percent`` and ``std`` are as printed; ``note`` says
what is odd about a figure, ``protocol`` how it was measured and what ``measure`` really is. Where
one of our benchmarks has sets of the same names and the same measures, ``benchmark`` names it, and
``measured_by`` our detector."""


def with_fold(columns: Mapping[str, str], has_folds: bool) -> dict[str, str]:
    """Return the columns of a file; in a run with folds, the first one names the fold."""
    if not has_folds:
        return dict(columns)
    return {"fold": "str" if "status" in columns else "category", **columns}


def records_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records with all columns and their dtypes, in the order given.

    Args:
        rows: values by column name. Measures, counts and times that are left out are missing,
            ``status`` is ``ok`` and ``error`` empty unless given.

    Raises:
        KeyError: if a row has a column that records have not, or no value for one of `KEY` (a
            missing ``seed`` says that the detector draws nothing).
    """
    defaults = {"seed": None, "status": "ok", "error": ""}
    complete = [{**defaults, **row} for row in rows]
    for row in complete:
        misfits = (set(row) - set(RECORD)) | (set(KEY) - set(row))
        if misfits:
            raise KeyError(f"unknown or missing columns of a record: {', '.join(sorted(misfits))}")
    return pd.DataFrame(complete, columns=list(RECORD)).astype(RECORD)
