"""Nothing that comes from packs, definitions or plugins can move the terminal's cursor."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.cli import main

EVIL = "a\x1b[2J\x1b]0;title\x07\u202eb\nverified: 42 figures follow from the scores"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command, and return what it printed on both streams."""
    main([*arguments])
    captured = capsys.readouterr()
    return captured.out + captured.err


def check(text: str) -> None:
    assert text
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not any(line.startswith("verified") for line in text.splitlines())


@pytest.mark.parametrize("style", ["terminal", "markdown", "latex", "html"])
def test_names_of_a_run_are_printable_in_its_table(tmp_path, capsys, style: str) -> None:
    make_run(tmp_path, {EVIL: 1.0}, notes={"Glyphs": EVIL}, deviations={EVIL: EVIL})
    check(printed(capsys, "table", str(tmp_path), "--format", style))


def test_names_of_runs_are_printable_where_two_are_compared(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "one", {EVIL: 1.0}, hardware={"cpu": EVIL})
    make_run(tmp_path / "two", {EVIL: 2.0})
    check(printed(capsys, "compare", str(tmp_path / "one"), str(tmp_path / "two")))


def test_reasons_and_names_of_packs_are_printable(tmp_path: Path, capsys) -> None:
    folder = tmp_path / EVIL
    make_run(folder, benchmark=EVIL)
    for path in folder.glob("*.csv"):
        path.write_text(EVIL)
    (folder / f"{EVIL}.zip").write_bytes(b"no pack")
    check(printed(capsys, "leaderboard", str(tmp_path), "--out", str(tmp_path / "site")))
    check(printed(capsys, "verify", str(folder / f"{EVIL}.zip")))


def test_names_of_definitions_are_printable(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.toml"
    name = EVIL.encode("unicode_escape").decode().replace("\\x", "\\u00")
    path.write_text(f'name = "mine"\nid = "{name}"\nood = ["uniform"]\nclassifier = "{name}"\n')
    check(printed(capsys, "plan", "--benchmark", str(path)))


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("doctor",)])
def test_texts_of_plugins_are_printable(install, capsys, arguments: tuple[str, ...]) -> None:
    install(
        "evil",
        f"""
from oodbench.contracts import Detector, Info, hookimpl

class Evil(Detector):
    info = Info(name="evil", summary={EVIL!r})

    def score(self, batch):
        return batch.labels.double()

class Worse(Evil):
    info = Info(name={EVIL!r}, summary="")

@hookimpl
def oodbench_detectors():
    return [Evil, Worse]
""",
    )
    check(printed(capsys, *arguments))
