"""The files that a run leaves, written and read.

A run's directory holds

* ``records.csv``: one row for each ID set, OOD set, detector, classifier and seeds (`RECORD`);
* ``scores.parquet``: the score of every image (`SCORE`);
* ``predictions.parquet``: label and predicted class of every image (`PREDICTION`);
* ``run.json``: what made them, and the SHA-256 of the other files. It is written last, so that a
  directory without it holds no finished run.

Every figure of the records can be computed again from the two Parquet files
(`oodbench.measures.evaluation.recompute`).
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from oodbench.errors import InvalidData, UnknownName
from oodbench.results.columns import (
    BOUNDS,
    KEY,
    MEASURES,
    PREDICTION,
    RECORD,
    SCORE,
    with_fold,
)
from oodbench.results.exchange import exchanged
from oodbench.results.files import (
    read_columns,
    read_info,
    read_table,
    records_limit,
    require_bounds,
    rows_limit,
    verified,
)
from oodbench.results.parts import Parts, conform, write_parts

_RECORDS, _SCORES, _PREDICTIONS = "records.csv", "scores.parquet", "predictions.parquet"

FOLD_REQUEST = ("id", "ood", "groups", "fingerprints")
"""What the request of a fold says in place of that of the run."""

_NULLABLE = {pyarrow.int64(): pd.Int64Dtype()}


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run on disk, shown as its table in notebooks; large files are read when asked for.

    Attributes:
        directory: where it lies.
        info: the content of ``run.json``.
        records: the records, columns and dtypes as in `RECORD`; with folds also ``fold``.
        fold: which fold it is of the run on disk; None for all of that.
        whole: the run on disk, of a fold.
    """

    directory: Path
    info: dict[str, Any]
    records: pd.DataFrame
    fold: str | None = None
    whole: Run | None = None

    def in_folds(self) -> list[Run]:
        """Return each fold as a run without folds; without folds, the run itself."""
        return [self._fold(name) for name in self.info.get("folds", ())] or [self]

    def _fold(self, name: str) -> Run:
        about = self.info["folds"][name]
        request = self.info["request"] | {key: about[key] for key in FOLD_REQUEST}
        info = {key: value for key, value in self.info.items() if key != "folds"}
        info |= {"request": request, "artifacts": about["artifacts"]}
        return Run(self.directory, info, _only(self.records, name), name, self)

    def __repr__(self) -> str:
        detectors, sets = self.table().shape
        names = " and ".join(self.records["id_dataset"].unique())
        if folds := self.info.get("folds"):
            names = f"{len(folds)} folds of {self.info['benchmark']}"
        return f"<Run '{self.directory}': {detectors} detectors, {names} against {sets} OOD sets>"

    def _repr_html_(self) -> str:
        shown = self.table().mul(100).to_html(float_format="{:.2f}".format, na_rep="failed")
        return f"<p>{html.escape(repr(self))}: AUROC in %</p>\n{shown}"

    def table(self, measure: str = "auroc") -> pd.DataFrame:
        """Return a measure of each detector on each OOD set, as the mean over all seeds.

        Args:
            measure: one of `MEASURES`.

        Returns:
            Detectors in rows and OOD sets in columns, in the order of the records; fractions,
            missing where a detector failed.

        Raises:
            UserError: if there is no such measure.
        """
        if measure not in MEASURES:
            raise UnknownName("measure", measure, MEASURES)
        rows = self.records[self.records["ood_dataset"] != ""]
        values = rows.groupby(["detector", "ood_dataset"], sort=False)[measure]
        means = values.agg(lambda seeds: seeds.mean(skipna=False))
        table: pd.DataFrame = means.unstack(sort=False)  # noqa: PD010 (keeps what is missing)
        return table

    def scores(self) -> pd.DataFrame:
        """Read the scores, columns and dtypes as in `SCORE`.

        Raises:
            InvalidData: if the file is missing, damaged or something else.
        """
        return self._read(_SCORES, SCORE)

    def predictions(self) -> pd.DataFrame:
        """Read the predictions, columns and dtypes as in `PREDICTION`.

        Raises:
            InvalidData: if the file is missing, damaged or something else.
        """
        return self._read(_PREDICTIONS, PREDICTION)

    def _read(self, name: str, columns: Mapping[str, str]) -> pd.DataFrame:
        if self.whole is not None:
            return _only(self.whole._read(name, columns), str(self.fold))
        columns = with_fold(columns, "folds" in self.info)
        return _read_parquet(self.directory, name, self.info, columns)


def _only(frame: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return the rows of a fold, without its column and the names of other folds' sets."""
    own: pd.DataFrame = frame[frame["fold"] == fold].drop(columns="fold").reset_index(drop=True)
    names = own.select_dtypes("category")
    return own.assign(**{str(each): names[each].cat.remove_unused_categories() for each in names})


def write_run(
    directory: Path,
    *,
    records: pd.DataFrame,
    scores: pd.DataFrame | Parts,
    predictions: pd.DataFrame | Parts,
    info: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write a run's files so that, killed at any moment, it leaves a complete run or none.

    Args:
        directory: made if missing; a run that lies there is replaced.
        records: columns as in `RECORD`; figures are written so that they are read back exactly.
        scores: columns as in `SCORE`.
        predictions: columns as in `PREDICTION`.
        info: what ``run.json`` says, to which the files' checksums are added as ``files``.
        texts: further files by name, such as ``table.md``.

    Raises:
        UserError: if the directory cannot be written to, or there are more scores than can be read.
    """
    with exchanged(directory, info, {}) as new:
        has_folds = "folds" in info
        _write_records(new, records, texts or {}, has_folds)
        write_parts(_in_parts(scores, with_fold(SCORE, has_folds)), new / _SCORES)
        write_parts(_in_parts(predictions, with_fold(PREDICTION, has_folds)), new / _PREDICTIONS)


def _in_parts(table: pd.DataFrame | Parts, columns: Mapping[str, str]) -> Parts:
    return table if isinstance(table, Parts) else Parts(columns, lambda: [table])


def rewrite_records(run: Run, records: pd.DataFrame, texts: Mapping[str, str]) -> None:
    """Replace the records of a run and the texts made from them; its other files stay as they are.

    Args:
        run: the run on disk.
        records: columns as in `RECORD`.
        texts: by name of the file, such as ``table.md``.

    Raises:
        UserError: if its directory cannot be written to.
    """
    with exchanged(run.directory, run.info, run.info["files"]) as new:
        _write_records(new, records, texts, "folds" in run.info)


def _write_records(
    folder: Path, records: pd.DataFrame, texts: Mapping[str, str], has_folds: bool
) -> None:
    records[list(with_fold(RECORD, has_folds))].to_csv(
        folder / _RECORDS, index=False, lineterminator="\n", errors="backslashreplace"
    )
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8", errors="backslashreplace", newline="\n")


def read_run(directory: str | Path) -> Run:
    """Return the run in a directory.

    Raises:
        UserError: if the directory holds no finished run.
        InvalidData: if a file is missing, damaged or something else; the message names it.
    """
    folder = Path(directory).expanduser()
    info = read_info(folder)
    return Run(folder, info, _read_frame(folder, RECORD, info))


def read_outcomes(directory: str | Path) -> Run:
    """Read a run without its measures, which another version may have defined otherwise.

    Returns:
        The run; its records lack the columns of measures.

    Raises:
        UserError, InvalidData: as `read_run`.
    """
    folder = Path(directory).expanduser()
    info = read_info(folder)
    columns = {name: dtype for name, dtype in RECORD.items() if name not in MEASURES}
    return Run(folder, info, _read_frame(folder, columns, info))


def read_rows(directory: Path, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the records of a run as plain values, row by row, without a data frame.

    Args:
        directory: of the run.
        info: what its ``run.json`` says.

    Returns:
        For each record its values by column; a missing float is NaN, a missing integer None.

    Raises:
        InvalidData: if the file is missing, damaged or something else.
    """
    values = _record_columns(directory, RECORD, info)
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def read_score_table(directory: Path, info: Mapping[str, Any]) -> pyarrow.Table:
    """Read the scores of a run as they are in the file, columns as in `SCORE`.

    Raises:
        InvalidData: if the file is missing, damaged or something else.
    """
    columns = with_fold(SCORE, "folds" in info)
    return read_table(verified(directory, _SCORES, info), columns, rows_limit(info))


def read_prediction_table(directory: Path, info: Mapping[str, Any]) -> pyarrow.Table:
    """Read the predictions of a run as they are in the file, columns as in `PREDICTION`.

    Raises:
        InvalidData: if the file is missing, damaged or something else.
    """
    columns = with_fold(PREDICTION, "folds" in info)
    return read_table(verified(directory, _PREDICTIONS, info), columns, rows_limit(info))


def _read_frame(
    directory: Path, columns: Mapping[str, str], info: Mapping[str, Any]
) -> pd.DataFrame:
    values = _record_columns(directory, columns, info)
    dtypes = with_fold(columns, "folds" in info)
    return pd.DataFrame({name: pd.Series(values[name], dtype=dtypes[name]) for name in dtypes})


def _record_columns(
    directory: Path, columns: Mapping[str, str], info: Mapping[str, Any]
) -> dict[str, list[Any]]:
    path = verified(directory, _RECORDS, info)
    values = read_columns(path, with_fold(columns, "folds" in info), records_limit(info))
    if not {*values["status"]} <= {"ok", "failed"}:
        raise InvalidData(f"'{path}', column status: expected ok or failed in every row")
    for name in ("id_dataset", "detector", "classifier"):
        if "" in values[name]:
            raise InvalidData(f"'{path}', column {name}: a name is missing")
    _require_folds(path, values, info)
    keys = list(zip(*(values[name] for name in KEY), strict=True))
    if len(keys) != len(set(keys)):
        raise InvalidData(f"'{path}' has two records of one detector, set and seeds")
    for name, bounds in BOUNDS.items():
        require_bounds(values.get(name, ()), *bounds, f"'{path}', column {name}")
    return values


def _require_folds(path: Path, values: Mapping[str, list[Any]], info: Mapping[str, Any]) -> None:
    """Raise `InvalidData` unless there is one ID set, or one for each fold."""
    sets = set(values["id_dataset"])
    folds = list(info.get("folds", [""]))
    named = values.get("fold", [""] * len(values["id_dataset"]))
    if "folds" in info and {*named} != {*folds}:
        raise InvalidData(
            f"'{path}' lacks folds that run.json names, or has others: {', '.join(folds)}"
        )
    pairs = {*zip(named, values["id_dataset"], strict=True)}
    if not len(pairs) == len(sets) == len(folds):
        raise InvalidData(f"'{path}' has records of {len(sets)} ID sets, not {len(folds)}")


def _read_parquet(
    directory: Path, name: str, info: Mapping[str, Any], columns: Mapping[str, str]
) -> pd.DataFrame:
    path = verified(directory, name, info)
    table = read_table(path, columns, rows_limit(info))
    try:
        # Whole numbers stay so where one is missing.
        return conform(table.to_pandas(types_mapper=_NULLABLE.get), columns)
    except (TypeError, ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{path}' holds values of a wrong type: {error}") from error
