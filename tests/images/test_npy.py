"""Rows of arrays are written to files, and read from them, a few at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oodbench.images.npy import ArrayFile, predicted_classes

VALUES = np.random.default_rng(0).normal(size=(40, 3, 2)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> ArrayFile:
    made = ArrayFile.create(tmp_path / "rows.npy", VALUES.dtype, VALUES.shape)
    for first in (20, 0, 30, 10):
        made.write(first, VALUES[first : first + 10])
    return made


def test_the_file_is_that_of_numpy(file: ArrayFile, tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", VALUES)
    assert file.path.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert ArrayFile.open(tmp_path / "whole.npy") == ArrayFile(
        tmp_path / "whole.npy", file.dtype, file.shape, file.start
    )


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(5, 9),
        slice(38, 60),
        slice(3, 3),
        np.array([7]),
        np.array([4, 5, 6, 2, 3, 39, 0, 0, 1]),
        np.arange(0),
    ],
    ids=str,
)
def test_rows_are_those_of_the_array(file: ArrayFile, rows) -> None:
    found = ArrayFile.open(file.path).read(rows)
    np.testing.assert_array_equal(found, VALUES[rows])
    assert found.flags.writeable


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_an_array_may_be_empty(tmp_path: Path, shape) -> None:
    ArrayFile.create(tmp_path / "empty.npy", np.dtype(np.int64), shape)
    assert ArrayFile.open(tmp_path / "empty.npy").read(slice(None)).shape == shape


def test_a_truncated_file_is_no_array(file: ArrayFile) -> None:
    file.path.write_bytes(file.path.read_bytes()[:-1])
    with pytest.raises(EOFError, match="truncated"):
        file.read(slice(30, 40))


def test_predictions_are_those_of_the_largest_logits(tmp_path: Path) -> None:
    np.save(tmp_path / "logits.npy", VALUES[:, 0])
    found = predicted_classes(ArrayFile.open(tmp_path / "logits.npy"))
    np.testing.assert_array_equal(found, VALUES[:, 0].argmax(1))
