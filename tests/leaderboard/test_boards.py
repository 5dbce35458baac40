"""Standings have the figures of the records, and ranks that the images support."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from made_runs import make_run, scores_of

from oodbench.leaderboard.boards import Board, build_boards
from oodbench.leaderboard.finding import find_entries
from oodbench.measures.intervals import auroc_interval
from oodbench.results.run import Run


def board(folder: Path) -> Board:
    (found,) = build_boards(find_entries([folder])[0])
    return found


def test_the_best_comes_first(tmp_path: Path) -> None:
    make_run(tmp_path / "run", {"poor": 0.2, "good": 3.0, "fair": 1.2})
    standings = board(tmp_path).standings
    assert [(each.entry.detector, each.rank) for each in standings] == [
        ("good", 1),
        ("fair", 2),
        ("poor", 3),
    ]
    assert [each.mean_rank for each in standings] == [1, 2, 3]


def test_a_difference_that_the_images_do_not_support_is_a_tie(tmp_path: Path) -> None:
    make_run(tmp_path / "run", {"a": 1.0, "bb": 1.01, "poor": 0.1})
    ranks = {each.entry.detector: each.rank for each in board(tmp_path).standings}
    assert ranks == {"a": 1, "bb": 1, "poor": 3}


def test_figures_are_those_of_the_records(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"ganad": 1.0}, seeds=(0, 1, 2))
    (standing,) = board(tmp_path).standings
    ood = run.records[run.records["ood_dataset"] != ""]
    by_run = ood.groupby("seed")["auroc"].mean()
    assert standing.runs == 3
    assert standing.auroc.mean == pytest.approx(by_run.mean())
    assert standing.auroc.std == pytest.approx(by_run.std())
    assert standing.auroc.low < standing.auroc.mean < standing.auroc.high
    glyphs = ood[ood["ood_dataset"] == "Glyphs"]["auroc"]
    assert standing.sets["Glyphs"].mean == pytest.approx(glyphs.mean())
    assert standing.fpr95.mean == pytest.approx(ood.groupby("seed")["fpr95"].mean().mean())
    assert standing.costs.fit_seconds == pytest.approx(2)
    assert standing.costs.images_per_second == pytest.approx(50 / 0.01)


def test_the_interval_of_a_single_run_on_a_set_is_delongs(tmp_path: Path) -> None:
    make_run(tmp_path / "run", {"energy": 1.0})
    (standing,) = board(tmp_path).standings
    scores = scores_of("energy", 1.0)
    tests = scores[scores["split"] == "test"].set_index("dataset")["score"]
    expected = auroc_interval(tests.loc["Digits"].to_numpy(), tests.loc["Uniform"].to_numpy())
    figure = standing.sets["Uniform"]
    assert (figure.low, figure.high) == pytest.approx(expected, abs=1e-9)
    assert math.isnan(figure.std)


def test_groups_have_means_of_their_own(tmp_path: Path) -> None:
    groups = {"near": ["Glyphs"], "far": ["Uniform"]}
    make_run(tmp_path / "run", {"energy": 1.0}, request={"groups": groups})
    (standing,) = board(tmp_path).standings
    # as text, since they hold NaN
    assert repr(standing.groups["near"]) == repr(standing.sets["Glyphs"])
    assert repr(standing.groups["far"]) == repr(standing.sets["Uniform"])
    assert len(standing.groups) == 2


def test_groups_that_one_run_names_are_those_of_the_board(tmp_path: Path) -> None:
    make_run(tmp_path / "first", {"energy": 1.0})
    groups = {"near": ["Glyphs", "a set that was left out"], "far": ["another"]}
    make_run(tmp_path / "second", {"msp": 1.0}, request={"groups": groups})
    found = board(tmp_path)
    assert found.groups == {"near": ("Glyphs",)}
    for each in found.standings:
        assert repr(each.groups["near"]) == repr(each.sets["Glyphs"])  # as text: it holds NaN


def test_images_a_second_leave_out_what_the_first_set_takes_to_import(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"energy": 1.0})
    records = run.records.copy()
    records.loc[records["ood_dataset"] == "", "score_seconds"] = 2.6
    make_run(tmp_path / "run", {"energy": 1.0}, records=records)
    (standing,) = board(tmp_path).standings
    assert standing.costs.images_per_second == pytest.approx(40 / 0.01)


def test_costs_are_means_over_the_runs_that_noted_them_down(tmp_path: Path) -> None:
    for number, memory in enumerate((1e9, None, 2e9)):
        costs = {"ganad": {"peak_memory": memory, "parameters": 1234}}
        make_run(tmp_path / str(number), {"ganad": 1.0}, seeds=(number,), costs=costs)
    (standing,) = board(tmp_path).standings
    assert standing.costs.peak_memory == 1.5e9
    assert standing.costs.parameters == 1234
    assert math.isnan(standing.costs.forward_passes)


def test_what_failed_on_a_set_has_no_rank_and_comes_last(tmp_path: Path) -> None:
    run = make_run(tmp_path / "whole", {"energy": 0.1, "broken": 3.0})
    scores = run.scores()
    lost = (scores["detector"] == "broken") & (scores["dataset"] == "Uniform")
    failed = (run.records["detector"] == "broken") & (run.records["ood_dataset"] == "Uniform")
    measures = ["auroc", "fpr95", "n_ood"]
    records = run.records.copy()
    records.loc[failed, ["status", "error"]] = ["failed", "ValueError: NaN"]
    records.loc[failed, measures] = pd.NA
    make_run(
        tmp_path / "whole",
        {"energy": 0.1, "broken": 3.0},
        scores=scores[~lost].astype({"dataset": "str"}),
        records=records,
    )
    first, last = board(tmp_path).standings
    assert (first.entry.detector, first.rank) == ("energy", 1)
    assert (last.entry.detector, last.rank) == ("broken", None)
    assert math.isnan(last.auroc.mean)
    assert last.sets["Glyphs"].mean > 0.9
    assert math.isnan(last.sets["Uniform"].mean)


def test_runs_that_differ_much_make_a_difference_less_certain(tmp_path: Path) -> None:
    make_run(tmp_path / "sure", {"a": 1.0, "bb": 1.6}, seeds=(0,))
    (sure,) = build_boards(find_entries([tmp_path / "sure"])[0])
    assert [each.rank for each in sure.standings] == [1, 2]
    frames = [scores_of("a", 1.0, seed=seed) for seed in range(3)]
    frames += [scores_of("bb", shift, seed=seed) for seed, shift in enumerate((0.5, 1.6, 3.5))]
    make_run(
        tmp_path / "unsure",
        {"a": 1.0, "bb": 1.6},
        seeds=range(3),
        scores=pd.concat(frames, ignore_index=True),
    )
    (unsure,) = build_boards(find_entries([tmp_path / "unsure"])[0])
    assert [each.rank for each in unsure.standings] == [1, 1]


def test_protocols_have_boards_of_their_own(tmp_path: Path) -> None:
    make_run(tmp_path / "first")
    make_run(tmp_path / "second", benchmark="another", request={"selection_seed": 3})
    boards = build_boards(find_entries([tmp_path])[0])
    assert [each.name for each in boards] == ["another", "made"]


def test_seeds_on_few_classifiers_do_not_make_an_interval_narrow(tmp_path: Path) -> None:
    shifts = {0: 1.0, 1: 2.0}
    for name, seeds in (("one", range(1)), ("many", range(8))):
        frames = [
            scores_of("a", shift, classifier_seed=classifier_seed, seed=seed)
            for classifier_seed, shift in shifts.items()
            for seed in seeds
        ]
        scores = pd.concat(frames, ignore_index=True)
        make_run(tmp_path / name, {"a": 1.0}, seeds=seeds, classifier_seeds=(0, 1), scores=scores)
    one, many = (board(tmp_path / name).standings[0].auroc for name in ("one", "many"))
    assert many.high - many.low > 0.8 * (one.high - one.low)


def without(run: Run, folder: Path, detector: str, title: str) -> None:
    """Write a run again in which a detector failed on a set."""
    lost = (run.scores()["detector"] == detector) & (run.scores()["dataset"] == title)
    scores = run.scores()[~lost].astype({"dataset": "str"})
    records = run.records.copy()
    failed = (records["detector"] == detector) & (records["ood_dataset"] == title)
    records.loc[failed, ["status", "error"]] = ["failed", "ValueError: NaN"]
    records.loc[failed, ["auroc", "fpr95", "n_ood"]] = pd.NA
    detectors = dict.fromkeys(records["detector"].unique(), 1.0)
    make_run(folder, detectors, scores=scores, records=records)


def test_what_failed_alone_stands_below_what_did_not_fail(tmp_path: Path) -> None:
    make_run(tmp_path / "whole", {"energy": 1.0})
    run = make_run(tmp_path / "broken", {"broken": 1.0})
    without(run, tmp_path / "broken", "broken", "Uniform")
    first, last = board(tmp_path).standings
    assert (first.entry.detector, last.entry.detector) == ("energy", "broken")


def test_a_seed_that_failed_and_was_repeated_counts_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "first", {"energy": 1.0, "msp": 0.5})
    make_run(tmp_path / "second", {"energy": 1.0, "msp": 0.5})
    (whole,) = [each for each in board(tmp_path).standings if each.entry.detector == "msp"]
    without(run, tmp_path / "first", "msp", "Uniform")
    (again,) = [each for each in board(tmp_path).standings if each.entry.detector == "msp"]
    assert again.fpr95.mean == whole.fpr95.mean
    assert len(board(tmp_path).standings) == 2
    ok = [row for row in again.entry.records if row["status"] == "ok"]
    assert len(ok) == 3


def test_a_detector_that_failed_in_a_run_of_its_own_and_was_repeated_stands_once(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "first", {"msp": 0.5})
    make_run(tmp_path / "second", {"msp": 0.5})
    without(run, tmp_path / "first", "msp", "Uniform")
    (standing,) = board(tmp_path).standings
    assert standing.rank == 1
