"""Names beside the points of a plot, without overlaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A point with a name.

    Attributes:
        x: place from the left.
        y: place from the top or from the bottom.
        name: what to write beside it; empty for a point without a name.
        rightwards: whether the name stands to the right of the point, or to its left.
    """

    x: float
    y: float
    name: str
    rightwards: bool


def find_room(marks: Sequence[Mark], *, letter: float, line: float, radius: float) -> Iterator[int]:
    """Yield the positions of the marks whose names lie neither on a point nor on an earlier name.

    Args:
        marks: those whose names matter most first.
        letter: mean width of a letter, in the units of the places.
        line: height of a line.
        radius: of a point.
    """
    taken = [(mark.x - radius, mark.x + radius, mark.y) for mark in marks]
    for number, mark in enumerate(marks):
        if not mark.name:
            continue
        length = letter * len(mark.name)
        left = mark.x + radius if mark.rightwards else mark.x - radius - length
        right = left + length
        if not any(
            left < end and start < right and abs(y - mark.y) < line for start, end, y in taken
        ):
            taken.append((left, right, mark.y))
            yield number
