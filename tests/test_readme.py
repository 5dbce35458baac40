"""Hold what the documents claim: commands that parse, and tables that are those of kept runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from oodbench.cli import build_parser
from oodbench.measures.evaluation import recompute
from oodbench.report.merging import texts_of
from oodbench.report.tables import render, table_files
from oodbench.results.columns import MEASURES
from oodbench.results.run import read_run

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "results/README.md", "plugins/template/README.md"),
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
TABLE = re.compile(r"<!-- table: (\S+) -->\n(.*?)<!-- end of table -->", re.DOTALL)
DETAILS = re.compile(r"Details in %\n\n.*?\n\n(?=- )", re.DOTALL)
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[|&] *|\.venv/bin/)(oodbench [^|&\n]*)", re.MULTILINE)


def commands() -> list[str]:
    found: set[str] = set()
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for code in [*BLOCK.findall(text), *SPAN.findall(BLOCK.sub("", text))]:
            found |= {command.strip() for command in COMMAND.findall(code)}
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_commands_in_documents_are_accepted(command: str) -> None:
    arguments = shlex.split(command, comments=True)[1:]
    if len(arguments) == 1:  # only mentioned
        with pytest.raises(SystemExit, match=r"^0$"):
            build_parser().parse_args([*arguments, "--help"])
    else:
        assert build_parser().parse_args(arguments).command


def test_documents_show_many_commands() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("name", DOCUMENTS)
def test_scripts_that_documents_name_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    scripts = re.findall(r"\bbenchmarks/[\w/]+\.py", text)
    missing = [script for script in scripts if not (ROOT / script).exists()]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_documents_lead_somewhere(name: str) -> None:
    document = ROOT / name
    links = LINK.findall(document.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert broken == []


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_picture_in_the_readme_is_small() -> None:
    (picture,) = re.findall(r"!\[.+\]\((.+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert (ROOT / picture).stat().st_size < 150_000


def test_tables_in_the_readme_are_those_of_kept_runs() -> None:
    tables = TABLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert tables
    for directory, text in tables:
        run = read_run(ROOT / directory)
        rendered = render(run.records, format="markdown", **texts_of([run]))
        assert text.strip() == DETAILS.sub("", rendered).strip()


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}\n" in citation
    assert f"license: {project['license']}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.findall(r"^## \[(\d.*)\] - (.*)$", changes, re.MULTILINE)[0]
    assert version == project["version"]
    assert f'date-released: "{date}"\n' in citation


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


def page_commands() -> list[str]:
    """Return the commands that the README of the results gives for its pages."""
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^    python (benchmarks/reproduction/\w+\.py .* > .*)$", text, re.MULTILINE)


def test_each_page_of_published_figures_has_a_command() -> None:
    pages = {command.rpartition("/")[2] for command in page_commands()}
    assert pages == {"ganad-reproduction.md", "table-11.md", "openood-cifar10.md"}


@pytest.mark.parametrize("command", page_commands(), ids=lambda text: text.rpartition("/")[2])
def test_pages_of_published_figures_regenerate_byte_for_byte(command: str) -> None:
    options, page = command.split(" > ")
    again = [sys.executable, *shlex.split(options)]
    made = subprocess.run(again, cwd=ROOT, check=True, capture_output=True, text=True)
    assert made.stdout == (ROOT / page).read_text(encoding="utf-8")
