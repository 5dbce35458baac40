"""A report independent of its format: sections of tables and footnotes."""

from __future__ import annotations

from dataclasses import dataclass

from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import one_line

MISSING = "-"
"""What a cell shows that has no value."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: a name, or a figure in percent.
        spread: what follows the figure in brackets.
        marks: the footnotes that it refers to: numbers, or a dagger.
        best: whether it is the best of those that it stands next to.
    """

    text: str
    spread: str = ""
    marks: tuple[str, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        header: headings of the columns.
        blocks: groups of rows, each row as long as the header; a rule separates groups.
        labels: number of columns, from the left, that hold names.
    """

    caption: str
    header: tuple[Cell, ...]
    blocks: tuple[tuple[tuple[Cell, ...], ...], ...]
    labels: int = 1


@dataclass(frozen=True)
class Section:
    """The tables of one ID data set and classifier."""

    heading: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Footnote:
    """A sentence beneath the tables; ``mark`` is empty where it belongs to all of them."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Report:
    """The content of a report.

    Attributes:
        sections: in order.
        footnotes: beneath the last table.
        failures: what failed and why, one sentence each.
    """

    sections: tuple[Section, ...]
    footnotes: tuple[Footnote, ...] = ()
    failures: tuple[str, ...] = ()


def percent(fraction: float) -> str:
    """Return a fraction in percent with two decimals."""
    return f"{100 * fraction:.2f}"


def printable(text: str) -> str:
    """Return text on one line, with a space for each character that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def clean(text: str) -> str:
    """Return the printable part of a text, with words separated by one space."""
    return one_line(text)


def name_section(id_dataset: str, classifier: str) -> str:
    """Return what to call the tables of an ID set and a classifier, if there is one."""
    named = "no classifier" if classifier == NO_CLASSIFIER else f"classifier {classifier}"
    return clean(f"{id_dataset}, {named}")
