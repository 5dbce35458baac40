"""Scores that were computed elsewhere, checked and brought into the form of a run's scores.

A table of scores has one row for each score, and the columns `REQUIRED`::

    detector  dataset     split  score
    energy    cifar10     id     -7.31
    energy    cifar100    ood    -4.02

Columns of `OPTIONAL` may be there besides. `SPLITS` says what ``split`` can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.measures.arrays import DETECTOR_RUN
from oodbench.results.columns import PREDICTION, SCORE
from oodbench.results.files import ROWS, require_counts
from oodbench.store.validation import require_size

REQUIRED = ("detector", "dataset", "split", "score")

OPTIONAL = {
    "classifier": "unknown",
    "classifier_seed": 0,
    "seed": None,
    "index": None,
    "label": -1,
    "prediction": None,
}
"""Columns that may be missing, with the value that then stands for every row. Without ``index``
the rows of a set are its inputs in order, the same for every detector."""

SPLITS = ("id", "ood", "calibration", "test")
"""``id`` and ``ood`` are test inputs, ``calibration`` held-out ID inputs that thresholds are taken
from. ``test``, as in a run's own ``scores.parquet``, means ``id`` in the set that has calibration
scores, and ``ood`` elsewhere."""

NAMES = ("detector", "dataset", "split", "classifier")

NUMBERS = ("classifier_seed", "seed", "index", "label", "prediction")

Direction: TypeAlias = Literal["ood", "id"]
"""What a larger score means."""

SIGNS: Mapping[Direction, int] = {"ood": 1, "id": -1}
"""What a score is multiplied by, by what a larger one means."""

FILE_BYTES = 2**31
"""Bytes of a file of scores at most."""


class Given(NamedTuple):
    """Scores of several detectors on one ID set and some OOD sets.

    Attributes:
        id_dataset: name of the ID set.
        scores: columns as in `SCORE`.
        predictions: columns as in `PREDICTION`; no rows where there are none.
    """

    id_dataset: str
    scores: pd.DataFrame
    predictions: pd.DataFrame


def read_scores(path: Path) -> pd.DataFrame:
    """Read a table of scores from a CSV or Parquet file; nothing is checked yet.

    Raises:
        UserError: if it is of another kind, or not there.
        InvalidData: if it is damaged, or too large.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"'{path}': scores are read from .csv and .parquet files")
    try:
        require_size(path, FILE_BYTES)
        return reader(path)
    except InvalidData:
        raise
    except OSError as error:
        raise UserError(f"cannot read '{path}': {reason_of(error)}") from error
    except (ValueError, MemoryError, pyarrow.ArrowException) as error:
        kind = path.suffix.lower().removeprefix(".")
        raise InvalidData(f"'{path}' is damaged, or no {kind} file: {reason_of(error)}") from error


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file; a column of numbers stays text where a value is none."""
    missing = {name: [""] for name in NUMBERS}
    frame = pd.read_csv(
        path,
        dtype=dict.fromkeys(NAMES, "str"),
        keep_default_na=False,
        na_values=missing,
        nrows=ROWS + 1,
        low_memory=False,
        skipinitialspace=True,
    )
    if len(frame) > ROWS:
        raise InvalidData(f"'{path}' has more than {ROWS:,} rows; compare fewer detectors")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    with path.open("rb") as opened:  # given a path, Arrow would look for a folder of partitions
        file = pyarrow.parquet.ParquetFile(opened)
        require_counts(file.metadata, ROWS, path)
        columns = [name for name in file.schema_arrow.names if name in {*REQUIRED, *OPTIONAL}]
        frame: pd.DataFrame = file.read(columns).to_pandas(ignore_metadata=True)
    return frame


def conform(table: pd.DataFrame, larger_is: Direction, place: str) -> Given:
    """Return scores as a run keeps them, larger = more likely OOD.

    Args:
        table: columns as in this module's description.
        larger_is: "ood" or "id": what a larger score means.
        place: where they came from, for the message of an error.

    Raises:
        UserError: if ``larger_is`` is neither.
        InvalidData: if a column, a split or a value is missing, or unusable.
    """
    if larger_is not in SIGNS:
        raise UserError(f"larger_is is {larger_is!r}, not 'ood' or 'id'")
    if missing := [name for name in REQUIRED if name not in table]:
        raise InvalidData(
            f"{place} has no column {', '.join(missing)}; scores have the columns "
            f"{', '.join(REQUIRED)}"
        )
    if twice := [name for name in (*REQUIRED, *OPTIONAL) if list(table.columns).count(name) > 1]:
        raise InvalidData(f"{place} has the column {twice[0]} twice")
    if table.empty:
        raise InvalidData(f"{place} holds no scores")
    frame = pd.DataFrame({name: _names(table, name, place) for name in NAMES})
    for name in NUMBERS:
        frame[name] = _whole(table, name, place)
    classifiers = list(frame["classifier"].cat.categories)
    if len(classifiers) > 1:
        raise InvalidData(
            f"{place} has scores of {len(classifiers)} classifiers ({', '.join(classifiers)}); "
            "evaluate those of each alone, or give several seeds of one the column classifier_seed"
        )
    frame["score"] = SIGNS[larger_is] * _finite(table["score"], place)
    id_dataset = _split(frame, place)
    _number_inputs(frame, place)
    predictions = _predictions(frame, place)
    return Given(id_dataset, frame[list(SCORE)].astype(_kept(frame)), predictions)


def _kept(frame: pd.DataFrame) -> dict[str, Any]:
    return {name: SCORE[name] for name in SCORE if name != "score"} | {
        "score": frame["score"].dtype
    }


def _names(table: pd.DataFrame, name: str, place: str) -> pd.Series:
    """Return a column of names as categories in the order in which they occur."""
    if name not in table:
        return pd.Series(OPTIONAL[name], index=range(len(table)), dtype="category")
    values = table[name].astype("object").reset_index(drop=True)
    codes, found = pd.factorize(values)
    if (codes < 0).any() or "" in found:
        row = int(np.flatnonzero((codes < 0) | (values == ""))[0])
        raise InvalidData(f"{place}, column {name}: there is no name in row {row + 1:,}")
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index([str(each) for each in found])))


def _whole(table: pd.DataFrame, name: str, place: str) -> pd.Series:
    """Return a column of whole numbers, missing where they may be."""
    default = OPTIONAL[name]
    if name not in table:
        return pd.Series(default, index=range(len(table)), dtype="Int64")
    values = table[name].reset_index(drop=True)
    numbers = pd.to_numeric(values, errors="coerce")
    least = -1 if name in ("label", "prediction") else 0
    whole = numbers.isna() | ((numbers % 1 == 0) & (numbers >= least) & (numbers < 2**53))
    bad = ~whole.astype(bool) | (numbers.isna() & values.notna())
    if name != "seed":
        bad |= numbers.isna()
    _refuse(bad, values, name, place, f"a whole number from {least} up")
    return numbers.astype("Int64")


def _finite(column: pd.Series, place: str) -> np.ndarray:
    """Return the scores, (n,) float32 where they are that, else float64."""
    values = column.reset_index(drop=True)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(
        dtype="float32" if values.dtype == "float32" else "float64", na_value=np.nan
    )
    _refuse(pd.Series(~np.isfinite(numbers)), values, "score", place, "a finite number")
    return np.asarray(numbers)


def _refuse(bad: pd.Series, values: pd.Series, name: str, place: str, wanted: str) -> None:
    """Raise `InvalidData` for the first value that is bad."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = values.iloc[row]
        more = int(bad.sum()) - 1
        others = f" (and {more:,} rows more)" if more else ""
        raise InvalidData(
            f"{place}, column {name}: row {row + 1:,} holds '{value}'{others}; expected {wanted}"
        )


def _split(frame: pd.DataFrame, place: str) -> str:
    """Bring the splits into those of a run, in place, and return the name of the ID set.

    Raises:
        InvalidData: if one is unknown, or a detector lacks ID or OOD scores.
    """
    unknown = [each for each in frame["split"].cat.categories if each not in SPLITS]
    if unknown:
        raise InvalidData(
            f"{place}, column split: '{unknown[0]}' is not a split; expected id, ood or calibration"
        )
    calibration = frame["split"] == "calibration"
    of_id = set(frame.loc[calibration | (frame["split"] == "id"), "dataset"])
    if len(of_id) != 1:
        found = (
            f"ID scores of {len(of_id)} sets ({', '.join(sorted(of_id))})"
            if of_id
            else "no ID scores"
        )
        raise InvalidData(
            f"{place} has {found}; scores of one ID set are needed, whose rows have the split id"
        )
    id_dataset = str(*of_id)
    is_id = (frame["dataset"] == id_dataset) & ~calibration
    if (is_id & (frame["split"] == "ood")).any():
        raise InvalidData(f"{place}: '{id_dataset}' is the ID set, and has rows with the split ood")
    frame["split"] = pd.Categorical(
        np.where(calibration, "calibration", "test"), categories=["calibration", "test"]
    )
    kinds = frame[DETECTOR_RUN].assign(id=is_id, ood=~is_id & ~calibration)
    held = kinds.groupby(DETECTOR_RUN, sort=False, observed=True, dropna=False).any()
    for kind in ("id", "ood"):
        if not held[kind].all():
            name = held.index[~held[kind]][0][0]
            raise InvalidData(f"{place} has no {kind} scores of detector '{name}'")
    return id_dataset


def _number_inputs(frame: pd.DataFrame, place: str) -> None:
    """Give inputs without an index their place in their set, and refuse one that occurs twice."""
    key = [*DETECTOR_RUN, "dataset", "split"]
    if frame["index"].isna().all():
        frame["index"] = frame.groupby(key, observed=True, dropna=False).cumcount()
    twice = frame.duplicated([*key, "index"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise InvalidData(
            f"{place}: detector '{row['detector']}' has two scores of input {row['index']} of "
            f"'{row['dataset']}'; runs of one detector are told apart by the columns seed and "
            "classifier_seed"
        )


def _predictions(frame: pd.DataFrame, place: str) -> pd.DataFrame:
    """Return the predictions, once for each classifier.

    Raises:
        InvalidData: if some are missing, or detectors of one classifier disagree.
    """
    if frame["prediction"].isna().all():
        return pd.DataFrame(columns=list(PREDICTION)).astype(PREDICTION)
    found = frame[list(PREDICTION)].drop_duplicates(ignore_index=True)
    key = [name for name in PREDICTION if name not in ("label", "prediction")]
    twice = found.duplicated(key)
    if twice.any():
        row = found[twice].iloc[0]
        raise InvalidData(
            f"{place}: input {row['index']} of '{row['dataset']}' has two labels or predictions of "
            f"classifier '{row['classifier']}'; several seeds of one are told apart by the column "
            "classifier_seed"
        )
    return found.astype(PREDICTION)
