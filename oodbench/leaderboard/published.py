"""Published figures, which are shown apart and never ranked."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import InvalidData
from oodbench.leaderboard.boards import Board
from oodbench.leaderboard.standings import labels
from oodbench.report.layout import MISSING
from oodbench.results.columns import PUBLISHED
from oodbench.results.files import RECORDS_BYTES
from oodbench.store.validation import require_size

_SHARED = (
    *("source", "url", "table", "id_dataset", "detector", "measure", "runs", "protocol"),
    *("benchmark", "measured_by"),
)
"""The columns that the figures of one line have in common."""


@dataclass(frozen=True)
class Line:
    """A line beneath a board.

    Attributes:
        detector: as the publication, or we, call it.
        place: where its figures are.
        measure: what they are.
        figures: for each column of the board; a dash where there is none.
        is_difference: whether they are ours minus the published ones.
    """

    detector: str
    place: str
    measure: str
    figures: tuple[str, ...]
    is_difference: bool = False

    @property
    def title(self) -> str:
        """Return what stands beside the figures where each measure has a line of its own."""
        return f"{self.measure}, difference" if self.is_difference else self.measure


@dataclass(frozen=True)
class Wide:
    """Published figures with a row for each method, and its measures side by side.

    Attributes:
        measures: each measure with the columns of the board that any method has it for.
        rows: detector, place, and a figure for each of these columns.
    """

    measures: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(kw_only=True)
class Published:
    """The figures of one detector in one table of a publication, by OOD set or group of them.

    Attributes:
        source: the publication.
        url: where it can be read.
        table: number of the table.
        id_dataset: title of the ID set.
        detector: as it is called there.
        measure: what the figures are.
        runs: how many runs they are means of; empty where it is not said.
        protocol: how they were measured.
        benchmark: ours, where it has sets of the same names and the same measures; else empty.
        measured_by: our detector there.
        figures: percentages as printed, with their standard deviation, by title of the OOD set or
            name of the group, such as near.
        notes: what is odd about single figures.
    """

    source: str
    url: str
    table: str
    id_dataset: str
    detector: str
    measure: str
    runs: str
    protocol: str
    benchmark: str
    measured_by: str
    figures: dict[str, tuple[str, str]]
    notes: list[str]

    @property
    def place(self) -> str:
        """Return source and table."""
        return f"{self.source}, Table {self.table}"

    @property
    def explanation(self) -> str:
        """Return how the figures were measured, their peculiarities, and where they are."""
        return " ".join(filter(None, (self.protocol, *self.notes, self.url)))

    def belongs_to(self, board: Board) -> bool:
        """Return whether a board has the ID set, and one of the OOD sets or groups."""
        return self.id_dataset == board.protocol.id_dataset and any(
            title in self.figures for title in board.columns
        )

    def lines(self, board: Board) -> Iterator[Line]:
        """Yield the figures as printed, then by how much ours differ where they are the same."""
        printed = tuple(self._printed(title) for title in board.columns)
        yield Line(self.detector, self.place, self.measure, printed)
        if (self.benchmark, self.measure) != (board.name, "AUROC"):
            return
        for name, standing in zip(labels(board), board.standings, strict=True):
            if standing.entry.detector == self.measured_by:
                ours = {**standing.groups, **standing.sets}
                yield Line(
                    name,
                    f"measured here, minus Table {self.table}",
                    self.measure,
                    tuple(self._difference(title, ours[title].mean) for title in board.columns),
                    is_difference=True,
                )

    def _printed(self, title: str) -> str:
        percent, std = self.figures.get(title, (MISSING, ""))
        return f"{percent} ({std})" if std else percent

    def _difference(self, title: str, ours: float) -> str:
        percent, _ = self.figures.get(title, ("", ""))
        if not percent or math.isnan(ours):
            return MISSING
        difference = round(100 * ours - float(percent), 2)
        return f"{difference + 0.0:+.2f}"  # never -0.00


def lines_of(board: Board, published: Iterable[Published]) -> list[Line]:
    """Return the lines beneath a board, in the order of the publications."""
    return [line for each in published if each.belongs_to(board) for line in each.lines(board)]


def widen(lines: Iterable[Line], columns: Sequence[str]) -> Wide:
    """Return lines with a row for each method; columns without any figure are left out.

    Args:
        lines: of one board.
        columns: of that board.
    """
    rows: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for line in lines:
        cells = rows.setdefault((line.detector, line.place), {})
        for title, figure in zip(columns, line.figures, strict=True):
            if figure != MISSING:
                cells[line.measure, title] = figure
    measures = dict.fromkeys(measure for cells in rows.values() for measure, _ in cells)
    used = {place for cells in rows.values() for place in cells}
    header = tuple(
        (measure, tuple(title for title in columns if (measure, title) in used))
        for measure in measures
    )
    places = [(measure, title) for measure, titles in header for title in titles]
    return Wide(
        header,
        tuple(
            (detector, place, tuple(cells.get(each, MISSING) for each in places))
            for (detector, place), cells in rows.items()
        ),
    )


def find_published(roots: Iterable[Path]) -> list[Published]:
    """Read every CSV file in some folders whose header is that of published figures.

    Raises:
        InvalidData: if a file with that header is ill-formed.
    """
    paths = {path for root in roots for path in root.rglob("*.csv")}
    lines: list[Published] = []
    for path in sorted(paths):
        lines += _read(path)
    return lines


def _read(path: Path) -> Iterable[Published]:
    """Return the lines of a file; none if it is some other CSV file."""
    try:
        require_size(path, RECORDS_BYTES)
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != PUBLISHED:
                return []
            rows = list(reader)
    except (OSError, ValueError, csv.Error):
        return []  # a folder, a dangling link or a device, or text that is no CSV
    lines: dict[tuple[str, ...], Published] = {}
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InvalidData(f"'{path}', line {number}: not as many values as columns")
        _add(lines, row, f"'{path}', line {number}")
    return lines.values()


def _add(lines: dict[tuple[str, ...], Published], row: Mapping[str, str], place: str) -> None:
    try:
        values = [float(row[name]) for name in ("percent", "std") if row[name]]
    except ValueError as error:
        raise InvalidData(f"{place}: {error}") from error
    if not all(0 <= value <= 100 for value in values):
        raise InvalidData(f"{place}: a percentage must lie between 0 and 100")
    shared = {name: row[name] for name in _SHARED}
    line = lines.setdefault(tuple(shared.values()), Published(**shared, figures={}, notes=[]))
    line.figures[row["ood_dataset"]] = (row["percent"], row["std"])
    if row["note"] and row["note"] not in line.notes:
        line.notes.append(row["note"])
