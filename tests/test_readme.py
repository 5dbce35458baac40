"""Hold what the documents claim: commands that parse, and tables that are those of kept runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import kendalltau

from oodbench.cli import build_parser
from oodbench.measures.evaluation import recompute
from oodbench.report.derived import add_derived, scored_runs
from oodbench.report.merging import texts_of
from oodbench.report.tables import render, table_files
from oodbench.results.columns import MEASURES
from oodbench.results.run import read_run
from oodbench.runs.options import RunOptions

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "results/README.md", "plugins/template/README.md"),
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
TABLE = re.compile(r"<!-- table: (\S+) -->\n(.*?)<!-- end of table -->", re.DOTALL)
DETAILS = re.compile(r"Details in %\n\n.*?\n\n(?=- )", re.DOTALL)
ANSI = re.compile(r"\x1b\[[\d;]*m")
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


@pytest.mark.parametrize("command", [each for each in commands() if "run --" in each])
def test_runs_in_documents_name_their_detectors(command: str) -> None:
    options = build_parser().parse_args(shlex.split(command, comments=True)[1:])
    assert options.locked is not None or tuple(options.detectors) != RunOptions().detectors


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


def test_the_page_of_the_first_run_shows_the_table_that_its_command_prints() -> None:
    text = (ROOT / "docs" / "first-run.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    asked = build_parser().parse_args(shlex.split(COMMAND.findall(text)[0])[1:])
    run = read_run(ROOT / "results" / asked.id)
    is_asked = run.records["detector"].isin(asked.detectors) & (run.records["seed"].fillna(0) == 0)
    printed = render(run.records[is_asked], format="terminal", **texts_of([run]))
    assert shown.strip() == ANSI.sub("", printed).partition("\n\nDetails")[0]


def test_the_page_on_speed_shows_the_kept_ratios() -> None:
    text = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    (kept,) = json.loads((ROOT / "results" / "speed.json").read_text(encoding="utf-8")).values()
    rows = re.findall(r"^\| (.*) \| [\d.]+ \| ([\d.]+) \| [+-]?\d+ % \|$", text, re.MULTILINE)
    shown = {name.replace("`", "").lower(): figure for name, figure in rows}
    assert shown == {name.lower(): f"{ratio:.2f}" for name, ratio in kept.items()}


def test_the_page_on_classifiers_shows_the_kept_figures_of_the_one_that_ships() -> None:
    text = (ROOT / "docs" / "tasks" / "own-classifier.md").read_text(encoding="utf-8")
    records = read_run(ROOT / "results" / "digits").records
    mean = records[records["ood_dataset"] != ""].groupby("detector")["auroc"].mean()
    rows = re.findall(r"^\| `\w+` \| `(\w+)` \| ([\d.]+) \| [\d.]+ \|$", text, re.MULTILINE)
    kept = [(name, figure) for name, figure in rows if name in mean]
    assert kept == [(name, f"{100 * mean[name]:.1f}") for name, _ in kept]
    assert {name for name, _ in kept} == {"energy", "msp"}


def test_the_page_on_use_ranks_detectors_as_the_kept_run_does() -> None:
    text = (ROOT / "docs" / "tasks" / "in-use.md").read_text(encoding="utf-8")
    run = read_run(ROOT / "results" / "cifar10")
    names = ["augrc1", "augrc10", "augrc50"]
    scored = scored_runs(run.records, run.scores(), run.predictions())
    records = add_derived(run.records, scored, names)
    means = records[records["ood_dataset"] != ""].groupby("detector")[["auroc", *names]].mean()
    ranks = means.assign(auroc=-means["auroc"]).rank().astype(int)
    first, second, third = (kendalltau(ranks["auroc"], ranks[name]).statistic for name in names)
    said = " ".join(text.split())
    assert f"is {first:.2f}, {second:.2f} and {third:.2f} for 1, 10 and 50 %" in said
    (openmax, msp) = (ranks.loc[name, ["auroc", "augrc10"]] for name in ("openmax", "msp"))
    assert f"OpenMax falls from rank {openmax.iloc[0]} to {openmax.iloc[1]}" in said
    assert f"MSP rises from {msp.iloc[0]} to {msp.iloc[1]}." in said


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
