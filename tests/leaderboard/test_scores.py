"""A table of scores is taken apart by detector and set, whatever the order of its rows."""

from __future__ import annotations

import numpy as np
import pyarrow
import pytest
from made_runs import ID, SETS, scores_of

from oodbench.leaderboard.scores import take_apart


def table(dictionaries: bool = True, shuffled: bool = False) -> pyarrow.Table:
    frame = scores_of("energy", 1.0, seed=3)
    frame = frame.sample(frac=1, random_state=0) if shuffled else frame
    names = dict.fromkeys(("detector", "dataset", "split"), "category" if dictionaries else "str")
    return pyarrow.Table.from_pandas(frame.astype(names), preserve_index=False)


@pytest.mark.parametrize("dictionaries", [True, False])
@pytest.mark.parametrize("shuffled", [True, False])
def test_scores_come_by_set_in_the_order_of_the_images(dictionaries: bool, shuffled: bool) -> None:
    ((fitted, parts),) = take_apart(table(dictionaries, shuffled))
    assert fitted == ("energy", 0, 3)
    assert set(parts) == {ID, *SETS}
    frame = scores_of("energy", 1.0, seed=3)
    expected = frame[(frame["dataset"] == ID) & (frame["split"] == "test")]
    np.testing.assert_array_equal(parts[ID].index, np.arange(60))
    np.testing.assert_array_equal(parts[ID].score, expected["score"])


def test_a_detector_that_draws_nothing_has_no_seed() -> None:
    frame = scores_of("msp", 1.0)
    ((fitted, _),) = take_apart(pyarrow.Table.from_pandas(frame))
    assert fitted == ("msp", 0, None)


def test_an_empty_table_has_no_scores() -> None:
    assert list(take_apart(table().slice(0, 0))) == []


@pytest.mark.parametrize("name", ["detector", "index", "score"])
def test_a_missing_value_is_refused(name: str) -> None:
    frame = scores_of("msp", 1.0).astype({"index": "Int64", "score": "Float64"})
    frame.loc[3, name] = None
    with pytest.raises(ValueError, match=f"column {name}"):
        list(take_apart(pyarrow.Table.from_pandas(frame)))
