"""Hold what the documents claim: commands that parse, and tables that are those of kept runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from oodbench.cli import build_parser
from oodbench.measures.evaluation import recompute
from oodbench.report.merging import texts_of
from oodbench.report.tables import render, table_files
from oodbench.results import MEASURES, read_run

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "results/README.md", "plugins/template/README.md")
TABLE = re.compile(r"<!-- table: (\S+) -->\n(.*?)<!-- end of table -->", re.DOTALL)
DETAILS = re.compile(r"Details in %\n\n.*?\n\n(?=- )", re.DOTALL)
COMMAND = re.compile(r"(?:^|[`|&] *|\.venv/bin/)(oodbench [^`|&\n]*)", re.MULTILINE)


def commands() -> list[str]:
    found = []
    for name in DOCUMENTS:
        found += COMMAND.findall((ROOT / name).read_text(encoding="utf-8"))
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("command", commands())
def test_commands_in_documents_are_accepted(command: str) -> None:
    options = build_parser().parse_args(shlex.split(command, comments=True)[1:])
    assert options.command


def test_documents_show_many_commands() -> None:
    assert len(commands()) > 10


def test_tables_in_the_readme_are_those_of_kept_runs() -> None:
    tables = TABLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert tables
    for directory, text in tables:
        run = read_run(ROOT / directory)
        rendered = render(run.records, format="markdown", **texts_of([run]))
        assert text.strip() == DETAILS.sub("", rendered).strip()


def kept_runs() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "results").glob("*/run.json"))


def test_figures_of_kept_runs_follow_from_their_scores() -> None:
    run = read_run(ROOT / "results" / "mnist")
    key = ["ood_dataset", "detector"]
    again = recompute(run.scores(), run.predictions()).set_index(key)[MEASURES]
    kept = run.records.set_index(key)[MEASURES]
    assert len(kept) == 32
    pd.testing.assert_frame_equal(again.loc[kept.index], kept, rtol=0, atol=1e-9)


@pytest.mark.parametrize("directory", kept_runs(), ids=lambda path: path.name)
def test_tables_of_kept_runs_regenerate_byte_for_byte(directory: Path) -> None:
    run = read_run(directory)
    for name, text in table_files(run.records, **texts_of([run])).items():
        assert (directory / name).read_text(encoding="utf-8") == text
