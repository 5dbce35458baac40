"""Reports as Markdown, LaTeX or HTML; names and texts are escaped in each."""

from __future__ import annotations

import html
import re

from tabulate import tabulate

from oodbench.report.layout import Cell, Report, Table

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_LATEX = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",  # a bare one at the start of a row would be an argument of the line break
        "]": "{]}",
        "–": "--",
        "×": r"$\times$",
        "†": r"\dag{}",
        "‡": r"\ddag{}",
    }
)
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1b1b; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; margin: 1.2rem 0; font-variant-numeric: tabular-nums;
  border-top: 2px solid; border-bottom: 2px solid; }
caption { text-align: left; color: #555; padding-bottom: .4rem; }
th, td { padding: .2rem .7rem; text-align: right; font-weight: normal; white-space: nowrap; }
th.name, th:first-child, .labels2 th:nth-child(2) { text-align: left; }
thead th { font-weight: 600; vertical-align: bottom; white-space: normal; }
tbody { border-top: 1px solid #999; }
.spread { display: inline-block; min-width: 4em; color: #555; }
sup { font-size: .7em; line-height: 0; }
.notes { color: #333; font-size: .9em; list-style: none; padding: 0; }
.failures { color: #a00; }
"""


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    parts = []
    for section in report.sections:
        parts.append(f"## {_escape_markdown(section.heading)}")
        for table in section.tables:
            parts += [_escape_markdown(table.caption), _markdown_table(table)]
    notes = [
        " ".join(
            filter(None, ("-", note.mark.translate(SUPERSCRIPTS), _escape_markdown(note.text)))
        )
        for note in report.footnotes
    ]
    parts.append("\n".join(notes))
    if report.failures:
        failures = [f"- {_escape_markdown(failure)}" for failure in report.failures]
        parts.append("\n".join(["Failed:", "", *failures]))
    return "\n\n".join(parts) + "\n"


def latex(report: Report) -> str:
    """Return the report as LaTeX, which needs the package booktabs."""
    parts = [r"% needs \usepackage{booktabs}"]
    for section in report.sections:
        for table in section.tables:
            parts.append(_latex_table(table, f"{section.heading}. {table.caption}"))
    notes = [
        f"{_latex_marks((note.mark,)) if note.mark else ''}{_escape_latex(note.text)}"
        for note in report.footnotes
    ]
    notes += [f"Failed: {_escape_latex(failure)}" for failure in report.failures]
    lines = [f"\\noindent {note}\\par" for note in notes]
    parts.append("\n".join(["{\\footnotesize", *lines, "}"]))
    return "\n\n".join(parts) + "\n"


def page(report: Report) -> str:
    """Return the report as an HTML page that loads nothing and runs nothing."""
    title = "; ".join(section.heading for section in report.sections)
    body = []
    for section in report.sections:
        body.append(f"<h1>{html.escape(section.heading)}</h1>")
        body += [_html_table(table) for table in section.tables]
    notes = [
        f"<li>{f'{_html_marks((note.mark,))} ' if note.mark else ''}{html.escape(note.text)}</li>"
        for note in report.footnotes
    ]
    notes += [f'<li class="failures">Failed: {html.escape(text)}</li>' for text in report.failures]
    body.append("\n".join(['<ul class="notes">', *notes, "</ul>"]))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        ]
    )


def _markdown_table(table: Table) -> str:
    def write(cell: Cell) -> str:
        text = _escape_markdown(cell.text)
        text = f"**{text}**" if cell.best else text
        marks = " ".join(cell.marks).translate(SUPERSCRIPTS)
        return " ".join(filter(None, (text, cell.spread))) + marks

    columns = len(table.header)
    text: str = tabulate(
        [[write(cell) for cell in row] for block in table.blocks for row in block],
        headers=[write(cell) for cell in table.header],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left"] * table.labels + ["right"] * (columns - table.labels),
    )
    return text


def _latex_table(table: Table, caption: str) -> str:
    def write(cell: Cell) -> str:
        text = _escape_latex(cell.text)
        text = f"\\textbf{{{text}}}" if cell.best else text
        return " ".join(filter(None, (text, cell.spread))) + _latex_marks(cell.marks)

    def write_rows(rows: tuple[tuple[Cell, ...], ...]) -> str:
        return "\n".join(" & ".join(map(write, row)) + r" \\" for row in rows)

    alignment = "l" * table.labels + "r" * (len(table.header) - table.labels)
    blocks = "\n\\midrule\n".join(write_rows(rows) for rows in ((table.header,), *table.blocks))
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{_escape_latex(caption)}}}\n\\begin{{tabular}}{{{alignment}}}\n"
        f"\\toprule\n{blocks}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}"
    )


def _html_table(table: Table) -> str:
    rows = [row for block in table.blocks for row in block]
    spread = [any(cell.spread for cell in column) for column in zip(*rows, strict=True)]

    def write(cell: Cell) -> str:
        text = html.escape(cell.text)
        text = f"<strong>{text}</strong>" if cell.best else text
        return text + _html_marks(cell.marks)

    def write_cell(number: int, cell: Cell) -> str:
        if number < table.labels:
            return f'<th class="name" scope="row">{write(cell)}</th>'
        # An empty place for the deviation keeps the decimal points of a column in line.
        place = f' <span class="spread">{cell.spread}</span>' if spread[number] else ""
        return f"<td>{write(cell)}{place}</td>"

    def write_row(row: tuple[Cell, ...]) -> str:
        return "".join(["<tr>", *map(write_cell, range(len(row)), row), "</tr>"])

    header = [f'<th scope="col">{write(cell)}</th>' for cell in table.header]
    blocks = ["\n".join(["<tbody>", *map(write_row, block), "</tbody>"]) for block in table.blocks]
    return "\n".join(
        [
            f'<table class="labels{table.labels}">',
            f"<caption>{html.escape(table.caption)}</caption>",
            "".join(["<thead><tr>", *header, "</tr></thead>"]),
            *blocks,
            "</table>",
        ]
    )


def _escape_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", html.escape(text, quote=False))


def _escape_latex(text: str) -> str:
    return text.translate(_LATEX)


def _latex_marks(marks: tuple[str, ...]) -> str:
    return f"\\textsuperscript{{{_escape_latex(','.join(marks))}}}" if marks else ""


def _html_marks(marks: tuple[str, ...]) -> str:
    return f"<sup>{html.escape(','.join(marks))}</sup>" if marks else ""
