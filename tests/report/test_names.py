"""Names beside points: none lies on another name or on a point."""

from __future__ import annotations

from oodbench.report.names import Mark, find_room


def shown(*marks: Mark) -> list[int]:
    return list(find_room(marks, letter=5, line=8, radius=3))


def test_a_name_with_room_around_it_is_shown() -> None:
    assert shown(Mark(0, 0, "one", True), Mark(0, 20, "two", True)) == [0, 1]


def test_a_name_that_would_lie_on_an_earlier_one_is_left_out() -> None:
    assert shown(Mark(0, 0, "one", True), Mark(0, 7, "two", True)) == [0]


def test_a_name_that_would_lie_on_a_point_is_left_out() -> None:
    assert shown(Mark(0, 0, "one", True), Mark(10, 0, "", True)) == []


def test_names_on_either_side_of_two_points_do_not_meet() -> None:
    assert shown(Mark(0, 0, "one", False), Mark(10, 0, "two", True)) == [0, 1]
