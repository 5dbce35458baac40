"""Tables are written in row groups, and read back as if they had been written at once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from oodbench.errors import UserError
from oodbench.results import files, parts
from oodbench.results.columns import PREDICTION, SCORE
from oodbench.results.files import read_table
from oodbench.results.parts import Parts, conform, write_parts


def scores(name: str, count: int = 300, dtype: str = "float32", seed: int | None = None):
    """Return the scores of some images by a detector."""
    values = np.random.default_rng(len(name)).normal(size=count).astype(dtype)
    return pd.DataFrame(
        {
            "detector": name,
            "classifier": "small",
            "classifier_seed": 0,
            "seed": pd.array([seed] * count, dtype="Int64"),
            "dataset": f"set of {name}",
            "split": "test",
            "index": np.arange(count),
            "score": values,
        }
    )


def read(path: Path, columns=SCORE) -> pd.DataFrame:
    table = read_table(path, columns, 10**6)
    return conform(table.to_pandas(types_mapper={pyarrow.int64(): pd.Int64Dtype()}.get), columns)


@pytest.fixture
def small_groups(monkeypatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 500)


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_groups_hold_what_one_table_does(tmp_path: Path, dtype: str) -> None:
    frames = [
        scores("msp"),
        scores("energy", 0),
        scores("knn", seed=3),
        scores("vim", 700),
        scores("late", 10, dtype),
    ]
    write_parts(Parts(SCORE, lambda: frames), tmp_path / "parts.parquet")
    about = pyarrow.parquet.read_metadata(tmp_path / "parts.parquet")
    assert [about.row_group(number).num_rows for number in range(about.num_row_groups)] == [
        600,
        700,
        10,
    ]
    found, whole = read(tmp_path / "parts.parquet"), Parts(SCORE, lambda: frames).frame()
    assert found["score"].dtype == dtype
    pd.testing.assert_frame_equal(found, conform(whole, SCORE), check_categorical=False)


@pytest.mark.usefixtures("small_groups")
def test_pandas_reads_the_types_by_itself(tmp_path: Path) -> None:
    frames = [scores("msp"), scores("knn", seed=3), scores("vim", 700)]
    write_parts(Parts(SCORE, lambda: frames), tmp_path / "parts.parquet")
    found = pd.read_parquet(tmp_path / "parts.parquet")
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == SCORE | {
        "score": "float32"
    }


@pytest.mark.parametrize("columns", [SCORE, PREDICTION])
def test_no_part_makes_a_table_without_rows(tmp_path: Path, columns) -> None:
    write_parts(Parts(columns, list), tmp_path / "none.parquet")
    assert list(read(tmp_path / "none.parquet", columns)) == list(columns)


@pytest.mark.usefixtures("small_groups")
def test_more_rows_than_can_be_read_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "ROWS", 1_000)
    with pytest.raises(UserError, match="the run has at least 1,300 scores"):
        write_parts(Parts(SCORE, lambda: [scores("msp", 600), scores("vim", 700)]), tmp_path / "x")


def test_memory_holds_a_row_group(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 20_000)

    def make():
        return (scores(f"detector {number}", 10_000) for number in range(40))

    path = tmp_path / "many.parquet"
    write_parts(Parts(SCORE, make), path)  # what libraries take when used first is not counted
    tracemalloc.start()
    try:
        write_parts(Parts(SCORE, make), path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < Parts(SCORE, make).frame().memory_usage().sum() / 4
