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
from oodbench.results.columns import BOUNDS, KEY, MEASURES, PREDICTION, RECORD, SCORE
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

_RECORDS, _SCORES, _PREDICTIONS = "records.csv", "scores.parquet", "predictions.parquet"

_NULLABLE = {pyarrow.int64(): pd.Int64Dtype()}


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run on disk, shown as its table in notebooks; large files are read when asked for.

    Attributes:
        directory: where it lies.
        info: the content of ``run.json``.
        records: the records, columns and dtypes as in `RECORD`.
    """

    directory: Path
    info: dict[str, Any]
    records: pd.DataFrame

    def __repr__(self) -> str:
        detectors, sets = self.table().shape
        names = " and ".join(self.records["id_dataset"].unique())
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
        return _read_parquet(self.directory, _SCORES, self.info, SCORE)

    def predictions(self) -> pd.DataFrame:
        """Read the predictions, columns and dtypes as in `PREDICTION`.

        Raises:
            InvalidData: if the file is missing, damaged or something else.
        """
        return _read_parquet(self.directory, _PREDICTIONS, self.info, PREDICTION)


def write_run(
    directory: Path,
    *,
    records: pd.DataFrame,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
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
        UserError: if the directory cannot be written to.
    """
    with exchanged(directory, info, {}) as new:
        _write_records(new, records, texts or {})
        _write_parquet(_conform(scores, SCORE), new / _SCORES)
        _write_parquet(_conform(predictions, PREDICTION), new / _PREDICTIONS)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table; scores by the places of their bytes and positions by their differences.

    So they take three fifths of the space that scores take otherwise.
    """
    encodings = {"index": "DELTA_BINARY_PACKED"}
    if "score" in frame:
        encodings["score"] = "BYTE_STREAM_SPLIT"
    frame.to_parquet(
        path,
        compression="zstd",
        index=False,
        column_encoding=encodings,
        use_dictionary=[name for name in frame if name not in encodings],
    )


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
        _write_records(new, records, texts)


def _write_records(folder: Path, records: pd.DataFrame, texts: Mapping[str, str]) -> None:
    records[list(RECORD)].to_csv(
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
    path = verified(folder, _RECORDS, info)
    return Run(folder, info, _read_frame(path, RECORD, records_limit(info)))


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
    path = verified(folder, _RECORDS, info)
    return Run(folder, info, _read_frame(path, columns, records_limit(info)))


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
    path = verified(directory, _RECORDS, info)
    values = _record_columns(path, RECORD, records_limit(info))
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def read_score_table(directory: Path, info: Mapping[str, Any]) -> pyarrow.Table:
    """Read the scores of a run as they are in the file, columns as in `SCORE`.

    Raises:
        InvalidData: if the file is missing, damaged or something else.
    """
    return read_table(verified(directory, _SCORES, info), SCORE, rows_limit(info))


def read_prediction_table(directory: Path, info: Mapping[str, Any]) -> pyarrow.Table:
    """Read the predictions of a run as they are in the file, columns as in `PREDICTION`.

    Raises:
        InvalidData: if the file is missing, damaged or something else.
    """
    return read_table(verified(directory, _PREDICTIONS, info), PREDICTION, rows_limit(info))


def _read_frame(path: Path, columns: Mapping[str, str], limit: int) -> pd.DataFrame:
    values = _record_columns(path, columns, limit)
    return pd.DataFrame({name: pd.Series(values[name], dtype=columns[name]) for name in columns})


def _record_columns(path: Path, columns: Mapping[str, str], limit: int) -> dict[str, list[Any]]:
    values = read_columns(path, columns, limit)
    if not {*values["status"]} <= {"ok", "failed"}:
        raise InvalidData(f"'{path}', column status: expected ok or failed in every row")
    for name in ("id_dataset", "detector", "classifier"):
        if "" in values[name]:
            raise InvalidData(f"'{path}', column {name}: a name is missing")
    if len(set(values["id_dataset"])) != 1:
        raise InvalidData(
            f"'{path}' has records of {len(set(values['id_dataset']))} ID sets, not 1"
        )
    keys = list(zip(*(values[name] for name in KEY), strict=True))
    if len(keys) != len(set(keys)):
        raise InvalidData(f"'{path}' has two records of one detector, set and seeds")
    for name, bounds in BOUNDS.items():
        require_bounds(values.get(name, ()), *bounds, f"'{path}', column {name}")
    return values


def _read_parquet(
    directory: Path, name: str, info: Mapping[str, Any], columns: Mapping[str, str]
) -> pd.DataFrame:
    path = verified(directory, name, info)
    table = read_table(path, columns, rows_limit(info))
    try:
        # Whole numbers stay so where one is missing.
        return _conform(table.to_pandas(types_mapper=_NULLABLE.get), columns)
    except (TypeError, ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{path}' holds values of a wrong type: {error}") from error


def _conform(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns in order and in their dtypes; a float column may stay float32."""
    narrow = {
        name: "float32"
        for name, dtype in columns.items()
        if dtype == "float64" and frame[name].dtype == "float32"
    }
    return frame[list(columns)].astype({**columns, **narrow})
