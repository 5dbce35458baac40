"""At 80 columns nothing that is printed is wider, and no figure is cut."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.cli import main
from oodbench.cli.output import say, say_command

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FIGURE = re.compile(r"(?<![\d(.])\d+\.\d\d")
RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    "line",
    [
        f"table {RESULTS / 'mnist'}",
        f"table {RESULTS / 'mnist-posthoc'}",
        f"compare {RESULTS / 'mnist'} {RESULTS / 'mnist-ganad'}",
        "list",
        "plan --id digits --detectors all-posthoc",
        "data status",
        "doctor",
    ],
    ids=lambda line: line.replace(str(RESULTS), "results"),
)
def test_nothing_is_wider_than_80_columns(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--store", str(tmp_path)] if line.startswith("plan") else []
    assert main([*line.split(), *extra]) == 0
    printed = capsys.readouterr()
    lines = ANSI.sub("", printed.out + printed.err).splitlines()
    assert len(lines) > 10
    assert [each for each in lines if len(each.rstrip()) > 80] == []


def test_the_table_of_32_detectors_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(RESULTS / "mnist-posthoc")]) == 0
    words = FIGURE.findall(ANSI.sub("", capsys.readouterr().out))
    assert main(["table", str(RESULTS / "mnist-posthoc"), "--format", "markdown"]) == 0
    assert sorted(words) == sorted(FIGURE.findall(capsys.readouterr().out))


def test_what_a_command_says_of_a_run_wraps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two" / "broken")
    (tmp_path / "two" / "broken" / "records.csv").write_text("no records")
    assert main(["leaderboard", str(tmp_path), "--quiet", "--out", str(tmp_path / "site")]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("left out:")
    for each in (printed.out + printed.err).splitlines():
        assert len(each) <= 80 or len(each.split()) == 1  # a path


@pytest.mark.parametrize(
    "line", ["run --id ./images", "store gc --older yesterday", "store list", "import openood here"]
)
def test_what_is_said_of_a_mistake_wraps(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(line.split())
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 80


def test_a_sentence_is_a_line_where_nothing_says_how_wide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say("word " * 30)
    assert len(capsys.readouterr().out.splitlines()) > 1
    monkeypatch.delenv("COLUMNS")
    say("word " * 30)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_path_is_never_broken(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("a folder with a name") / ("long " * 20)
    say(path)
    assert capsys.readouterr().out == f"{path}\n"


def test_a_command_that_is_too_long_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"oodbench run --benchmark {'x' * 50} --detectors {'y' * 40} --set 'a b.c=1'"
    say_command(command)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert " ".join(printed.replace("\\\n", " ").split()) == command
