"""The cards: who is best, how sure that is, and what it costs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.leaderboard.boards import Board, build_boards
from oodbench.leaderboard.finding import find_entries
from oodbench.leaderboard.summary import draw_costs, find_best
from oodbench.leaderboard.texts import describe_test


def board(folder: Path, strengths: dict[str, float]) -> Board:
    make_run(folder / "run", strengths)
    (found,) = build_boards(find_entries([folder])[0])
    return found


def test_the_best_five_are_listed_with_their_ranks_and_intervals(tmp_path: Path) -> None:
    names = {f"d{number}": 3.0 - number / 2 for number in range(6)}
    found = board(tmp_path, names)
    best, _ = find_best(found)
    assert [each.name for each in best] == ["d0", "d1", "d2", "d3", "d4"]
    assert [each.rank for each in best] == [str(each.rank) for each in found.standings[:5]]
    assert all(0 <= each.left <= each.middle <= each.left + each.width <= 100.01 for each in best)


def test_those_that_share_the_last_rank_are_counted(tmp_path: Path) -> None:
    _, more = find_best(board(tmp_path, {f"d{number}": 1.0 for number in range(8)}))
    assert more == "3 more share rank 1."


def test_no_unbeaten_detector_is_worse_and_dearer_than_another(tmp_path: Path) -> None:
    plot = draw_costs(board(tmp_path, {"a": 2.0, "b": 1.0, "c": 0.2}))
    assert plot is not None
    unbeaten = [point for point in plot.points if point.unbeaten]
    beaten = [point for point in plot.points if not point.unbeaten]
    assert unbeaten
    assert all(any(u.x <= b.x and u.y < b.y for u in unbeaten) for b in beaten)


def test_names_in_the_plot_do_not_lie_on_each_other(tmp_path: Path) -> None:
    names = {f"detector-{number}": 1.0 + number / 1000 for number in range(20)}
    plot = draw_costs(board(tmp_path, names))
    assert plot is not None
    named = sorted(point.y for point in plot.points if point.name)
    assert all(second - first >= 8 for first, second in itertools.pairwise(named))


def test_a_critical_difference_that_no_two_can_reach_is_said_to_be(tmp_path: Path) -> None:
    few = describe_test(board(tmp_path / "two-sets", {"a": 2.0, "b": 1.0, "c": 0.2}))
    assert "than 2.34 differ (Nemenyi, 5 %), and the largest possible difference is 2." in few


def test_one_detector_alone_has_no_plot(tmp_path: Path) -> None:
    assert draw_costs(board(tmp_path, {"a": 1.0})) is None


def test_a_perfect_detector_is_drawn_at_four_nines(tmp_path: Path) -> None:
    plot = draw_costs(board(tmp_path, {"perfect": 100.0, "poor": 0.1}))
    assert plot is not None
    assert "perfect: 100.00 %" in plot.description
    assert min(point.y for point in plot.points) == pytest.approx(14)
