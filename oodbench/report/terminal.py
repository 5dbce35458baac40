"""Reports for a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from oodbench.report.layout import Cell, Report, Table
from oodbench.report.markup import SUPERSCRIPTS

WIDTH = 80
"""Columns of text where no terminal says how many it has."""

_GAP = "  "


def terminal(report: Report, width: int = WIDTH) -> str:
    """Return the report as text, with ANSI codes that set the best figures in bold.

    Args:
        report: what to write.
        width: columns of text: tables are broken up, and texts and names wrapped, to fit.
    """
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, color_system="standard", width=10_000)
    for section in report.sections:
        console.print(Text(textwrap.fill(section.heading, width), style="bold"))
        for table in section.tables:
            console.print(Text(f"\n{textwrap.fill(table.caption, width)}"))
            for part in _split(_fold(table, width), width):
                console.print(_draw(part))
        console.print()
    for note in report.footnotes:
        console.print(_wrap(note.text, width, note.mark.translate(SUPERSCRIPTS)))
    for failure in report.failures:
        console.print(_wrap(f"Failed: {failure}", width), style="red")
    return output.getvalue()


def _fold(table: Table, width: int) -> Table:
    """Return a table that fits: long names continue in further rows without figures."""
    longest = 3 * width // (5 * table.labels)
    header = tuple(replace(cell, text=_heading(cell.text, width // 4)) for cell in table.header)

    def fold(row: Sequence[Cell]) -> Iterator[tuple[Cell, ...]]:
        names = [textwrap.wrap(cell.text, longest) or [""] for cell in row[: table.labels]]
        height = max(map(len, names))
        for line in range(height):
            labels = (
                replace(cell, text=lines[line], marks=cell.marks if line + 1 == len(lines) else ())
                if line < len(lines)
                else Cell("")
                for cell, lines in zip(row, names, strict=False)
            )
            figures = row[table.labels :]
            yield (*labels, *(figures if line == 0 else [Cell("")] * len(figures)))

    blocks = tuple(tuple(part for row in block for part in fold(row)) for block in table.blocks)
    return replace(table, header=header, blocks=blocks)


def _split(table: Table, limit: int) -> Iterator[Table]:
    """Yield tables that fit into ``limit`` columns, each with the names and some figures."""
    widths = [len(column[0]) + len(_GAP) for column in _columns(table)]
    names = list(range(table.labels))
    used, chosen = 0, names
    for number, width in enumerate(widths[table.labels :], start=table.labels):
        if chosen != names and used + width - len(_GAP) > limit:
            yield _select(table, chosen)
            chosen = names
        used = width + (used if chosen != names else sum(widths[: table.labels]))
        chosen = [*chosen, number]
    yield _select(table, chosen)


def _select(table: Table, columns: Sequence[int]) -> Table:
    def pick(row: Sequence[Cell]) -> tuple[Cell, ...]:
        return tuple(row[number] for number in columns)

    blocks = tuple(tuple(pick(row) for row in block) for block in table.blocks)
    return replace(table, header=pick(table.header), blocks=blocks)


def _draw(table: Table) -> Text:
    """Return the lines of a table, blocks of rows between rules."""
    rows = [Text(_GAP).join(row) for row in zip(*_columns(table), strict=True)]
    rule = Text("─" * len(rows[0]))
    heading = len(rows) - sum(map(len, table.blocks))
    lines = [rule, *rows[:heading], rule]
    start = heading
    for block in table.blocks:
        lines += [*rows[start : start + len(block)], rule]
        start += len(block)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def _columns(table: Table) -> list[list[Text]]:
    """Return the columns, headings first, each of texts of one length."""
    headings = [_marked(cell.text, cell).split("\n") for cell in table.header]
    height = max(map(len, headings))
    columns = []
    for number, heading in enumerate(headings):
        cells = [row[number] for block in table.blocks for row in block]
        titles = [""] * (height - len(heading)) + heading
        is_name = number < table.labels
        texts = [Text(_marked(cell.text, cell)) for cell in cells] if is_name else _align(cells)
        column = [*map(Text, titles), *texts]
        width = max(map(len, column))
        for text in column:
            text.align("left" if is_name else "right", width)
        columns.append(column)
    return columns


def _align(cells: Sequence[Cell]) -> list[Text]:
    """Return figures of one length whose decimal points stand above each other."""
    figures = max(len(cell.text) for cell in cells)
    spreads = max(len(cell.spread) + bool(cell.spread) for cell in cells)
    marks = max(len(_marked("", cell)) for cell in cells)
    return [
        Text.assemble(
            " " * (figures - len(cell.text)),
            (cell.text, "bold" if cell.best else ""),
            cell.spread.rjust(spreads),
            _marked("", cell).ljust(marks),
        )
        for cell in cells
    ]


def _heading(text: str, longest: int) -> str:
    """Return a heading, broken where that makes the column narrower."""
    lines = text.replace(" (", "\n(").replace("% ", "%\n").split("\n")
    return "\n".join(textwrap.fill(line, longest) for line in lines)


def _marked(text: str, cell: Cell) -> str:
    return text + " ".join(cell.marks).translate(SUPERSCRIPTS)


def _wrap(text: str, width: int, mark: str = "") -> Text:
    lines = textwrap.wrap(text, width, initial_indent=f"{mark:>2} ", subsequent_indent="   ")
    return Text("\n".join(lines))
