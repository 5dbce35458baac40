"""The figures of a run, recomputed from its scores and written back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from oodbench.errors import InvalidData
from oodbench.measures.evaluation import recompute
from oodbench.report.merging import texts_of
from oodbench.report.tables import table_files
from oodbench.results.columns import KEY, MEASURES, RECORD, with_fold
from oodbench.results.run import Run, read_outcomes, rewrite_records

_COMPUTED = [*MEASURES, "n_id", "n_ood", "ties"]


def recompute_run(directory: str | Path) -> Run:
    """Rewrite the records and tables of a run by the present definitions of the measures.

    Scores, predictions, times and failures stay as the run left them.

    Returns:
        The run as it is now.

    Raises:
        UserError: if the directory holds no finished run, or cannot be written to.
        InvalidData: if a file is damaged, or a record has no scores.
    """
    kept = read_outcomes(directory)
    try:
        found = pd.concat([_recomputed(part) for part in kept.in_folds()])
    except ValueError as error:
        raise InvalidData(f"'{kept.directory}' has ill-formed scores: {error}") from error
    outcomes = kept.records.drop(columns=[name for name in _COMPUTED if name in kept.records])
    records = outcomes.merge(found, on=KEY, how="left", validate="one_to_one", indicator=True)
    unscored = records[(records["status"] == "ok") & (records["_merge"] == "left_only")]
    if not unscored.empty:
        row = unscored.iloc[0]
        where = row["ood_dataset"] or row["id_dataset"]
        raise InvalidData(
            f"'{kept.directory}' has no scores of {row['detector']} on {where}, whose record "
            "says that it succeeded"
        )
    failed = records["status"] != "ok"
    records.loc[failed, _COMPUTED] = None
    columns = with_fold(RECORD, "folds" in kept.info)
    run = Run(kept.directory, kept.info, records[list(columns)].astype(columns))
    rewrite_records(run, run.records, table_files(run.records, **texts_of([run])))
    return run


def _recomputed(run: Run) -> pd.DataFrame:
    """Return the measures of a run without folds."""
    id_dataset = str(run.records["id_dataset"].iloc[0])
    return recompute(run.scores(), run.predictions(), id_dataset)[[*KEY, *_COMPUTED]]
