"""Runs are found by what they hold, checked against their scores, and seeds brought together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import SETS, make_run

from oodbench.errors import UserError
from oodbench.leaderboard.boards import build_boards
from oodbench.leaderboard.finding import find_entries
from oodbench.leaderboard.standings import labels


def test_runs_are_found_wherever_they_lie(tmp_path: Path) -> None:
    make_run(tmp_path / "one" / "deep" / "run", {"energy": 1.0})
    make_run(tmp_path / "two", {"msp": 1.0})
    (tmp_path / "papers").mkdir()
    entries, skipped = find_entries([tmp_path])
    assert [entry.detector for entry in entries] == ["energy", "msp"]
    assert entries[0].sets == SETS
    assert skipped == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {}}', '{"files": []}', "\x00"])
def test_what_is_no_run_is_named_and_left_out(tmp_path: Path, content: str) -> None:
    make_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(content)
    entries, (skipped,) = find_entries([tmp_path])
    assert len(entries) == 2
    assert skipped.path == tmp_path / "bad"
    assert "'run.json' is damaged" in skipped.reason


def test_the_reason_keeps_words_that_are_in_the_path_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/run.json").write_text("{")
    (skipped,) = find_entries([Path("run")])[1]
    assert "the run.json of a run: " in skipped.reason
    assert skipped.reason.startswith("'run.json' is damaged")


def test_a_run_without_a_request_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "bad")
    (run.directory / "run.json").write_text(json.dumps(run.info | {"request": {}}))
    entries, (skipped,) = find_entries([tmp_path])
    assert entries == []
    assert "key 'request.id' is missing" in skipped.reason


def test_records_that_are_not_those_of_the_scores_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "honest")
    better = run.records.assign(auroc=run.records["auroc"] + 0.001)
    make_run(tmp_path / "flattering", records=better)
    entries, (skipped,) = find_entries([tmp_path])
    assert len(entries) == 2
    assert skipped.path == tmp_path / "flattering"
    assert "but its scores give" in skipped.reason


def test_seeds_of_several_runs_are_one_entry(tmp_path: Path) -> None:
    make_run(tmp_path / "first", {"ganad": 1.0}, seeds=(0, 1))
    make_run(tmp_path / "second", {"ganad": 1.0}, seeds=(1, 2))
    ((entry,), _) = find_entries([tmp_path])
    assert sorted(each.seeds for each in entry.attempts) == [(0, 0), (0, 1), (0, 2)]
    assert entry.runs == (tmp_path / "first", tmp_path / "second")
    assert len(entry.records) == 3 * (1 + len(SETS))


def test_seeds_of_another_precision_are_an_entry_of_their_own(tmp_path: Path) -> None:
    for name, precision, seed in (("a", "float32", 0), ("b", "bfloat16", 1), ("c", "float32", 2)):
        request = {"precision": precision}
        make_run(tmp_path / name, {"ganad": 1.0}, seeds=(seed,), request=request)
    entries, _ = find_entries([tmp_path])
    assert [sorted(each.seeds for each in entry.attempts) for entry in entries] == [
        [(0, 0), (0, 2)],
        [(0, 1)],
    ]
    (board,) = build_boards(entries)
    assert sorted(labels(board)) == ["ganad (precision bfloat16)", "ganad (precision float32)"]


def test_entries_of_one_detector_are_told_apart_by_the_parameters_that_differ(
    tmp_path: Path,
) -> None:
    for percentile, shift in ((0.65, 1.0), (0.95, 1.5)):
        detectors = {"ash": {"percentile": percentile, "variant": "ash-p"}, "msp": {}}
        shifts = {"ash": shift, "msp": 0.5}
        make_run(tmp_path / str(percentile), shifts, request={"detectors": detectors})
    entries, _ = find_entries([tmp_path])
    (board,) = build_boards(entries)
    assert sorted(labels(board)) == ["ash (percentile 0.65)", "ash (percentile 0.95)", "msp"]


def test_a_run_that_contradicts_another_is_an_entry_of_its_own(tmp_path: Path) -> None:
    make_run(tmp_path / "first", {"energy": 1.0})
    make_run(tmp_path / "second", {"energy": 1.0}, noise=1)
    entries, _ = find_entries([tmp_path])
    assert [entry.runs for entry in entries] == [(tmp_path / "first",), (tmp_path / "second",)]
    found = sorted(label for board in build_boards(entries) for label in labels(board))
    assert found == [f"energy (run {tmp_path / name})" for name in ("first", "second")]


@pytest.mark.parametrize(
    "change",
    [
        {"request": {"selection_seed": 1}},
        {"request": {"classifier": {"net": {"width": 8}}}},
        {"sets": ("Glyphs",)},
    ],
    ids=["images", "classifier", "sets"],
)
def test_another_protocol_is_not_compared(tmp_path: Path, change) -> None:
    make_run(tmp_path / "first", {"energy": 1.0})
    make_run(tmp_path / "second", {"msp": 1.0}, **change)
    first, second = find_entries([tmp_path])[0]
    assert first.protocol != second.protocol


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        find_entries([tmp_path / "nowhere"])
