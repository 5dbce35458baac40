"""The command ``leaderboard``, and the leaderboard that this project keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.cli import main
from oodbench.leaderboard.build import read_leaderboard
from oodbench.leaderboard.texts import write_markdown

RESULTS = Path(__file__).parents[2] / "results"


def test_writes_page_and_tables_and_names_what_is_left_out(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "runs" / "good")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "run.json").write_text("{}")
    site, copy = tmp_path / "site", tmp_path / "LEADERBOARD.md"
    line = f"leaderboard {tmp_path / 'runs'} --out {site} --markdown {copy} --quiet"
    assert main(line.split()) == 0
    output, errors = capsys.readouterr()
    assert output == f"1 tables, 2 entries: {site / 'index.html'}\n"
    bad = tmp_path / "runs" / "bad"
    assert errors.startswith(f"left out: {bad}: 'run.json' is damaged")
    assert errors.count(str(bad)) == 1
    assert copy.read_text() == (site / "leaderboard.md").read_text()


def test_a_folder_that_is_not_there_is_exit_code_2(tmp_path: Path, capsys) -> None:
    assert main(["leaderboard", str(tmp_path / "no"), "--out", str(tmp_path)]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}"])
def test_folders_with_nothing_to_show_are_exit_code_2(tmp_path: Path, capsys, content) -> None:
    (runs := tmp_path / "runs").mkdir()
    if content:
        (runs / "run.json").write_text(content)
    assert main(["leaderboard", str(runs), "--out", str(tmp_path / "site"), "--quiet"]) == 2
    output, errors = capsys.readouterr()
    assert errors.endswith(f"oodbench: no run, pack or published figures to show in '{runs}'\n")
    assert errors.startswith("left out" if content else "oodbench")
    assert output == ""
    assert not (tmp_path / "site").exists()


def test_an_out_that_is_a_file_is_exit_code_2(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    assert main(["leaderboard", str(tmp_path), "--out", str(tmp_path / "file")]) == 2
    assert "cannot write the leaderboard" in capsys.readouterr().err


def test_the_kept_leaderboard_is_that_of_the_kept_runs() -> None:
    own = RESULTS / "runs"  # where runs go by default: no part of what is kept
    found = read_leaderboard([each for each in RESULTS.iterdir() if each.is_dir() and each != own])
    assert not found.skipped
    kept = (RESULTS / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert kept == write_markdown(found.boards, found.published)


def test_what_is_done_is_told(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "runs" / "good")
    assert main(f"leaderboard {tmp_path / 'runs'} --out {tmp_path / 'site'}".split()) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1:3] for line in lines] == [
        ["1/2", "read the runs"],
        ["2/2", "write page and tables"],
    ]
