"""The command plot draws what can be drawn, and says why of what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.cli import main

BROKEN = """
from oodbench.contracts import Figure, Info, hookimpl

class Broken(Figure):
    info = Info(name="broken", summary="Breaks.")

    def draw(self, run):
        return {"": 1 / 0}

class Sloppy(Figure):
    info = Info(name="sloppy", summary="Calls pictures by names that are no names of files.")

    def draw(self, run):
        from matplotlib.figure import Figure as Picture

        return {"../outside": Picture(), "react+knn": Picture(), "Outside": Picture()}

@hookimpl
def oodbench_figures():
    return [Broken, Sloppy]
"""


@pytest.fixture
def plot(capsys, store: Path, monkeypatch):
    """Return a function that runs the command and returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(["plot", *map(str, arguments), "--store", str(store), "--quiet"])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return call


def test_a_figure_is_written_as_png_and_svg_and_named(plot, drawable: Path, tmp_path) -> None:
    code, output, errors = plot(drawable, "scores", "--out", tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert (code, errors) == (0, "")
    assert written == [
        "scores-energy.png", "scores-energy.svg", "scores-ganad.png", "scores-ganad.svg"
    ]  # fmt: skip
    assert sorted(output.split()) == [str(tmp_path / name) for name in written]


def test_figures_are_told_of_as_they_are_drawn(drawable, store, tmp_path, capsys) -> None:
    line = f"plot {drawable} scores --out {tmp_path} --store {store}"
    assert main(line.split()) == 0
    assert "  1/1  draw scores  " in capsys.readouterr().err


def test_pictures_go_into_the_run_unless_told_otherwise(plot, drawable: Path) -> None:
    plot(drawable, "seed-norms")
    assert (drawable / "figures" / "seed-norms.png").exists()


def test_the_same_run_gives_the_same_bytes(plot, drawable: Path, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        plot(drawable, "scores", "confidence", "growing-seeds", "--out", tmp_path / folder)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    second = {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert first == second
    assert len(first) == 2 * (2 + 2 + 3)


def test_pictures_fit_a_column(plot, drawable: Path, tmp_path: Path) -> None:
    from PIL import Image

    plot(drawable, "scores", "growing-seeds", "outputs-by-norm", "--out", tmp_path)
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width == 1020  # 3.4 inches at 300 dots an inch


def test_the_list_names_figures_and_their_numbers_in_the_paper(plot) -> None:
    code, output, _ = plot("--list")
    assert code == 0
    assert "growing-seeds" in output
    assert "2, 3, 14" in output


def test_what_a_run_lacks_is_one_sentence_and_the_others_are_drawn(
    plot, drawable: Path, tmp_path: Path
) -> None:
    code, output, errors = plot(drawable, "foreign-fakes", "seed-norms", "--out", tmp_path)
    assert code == 1
    assert errors.count("\n") == 1
    assert "foreign-fakes is not drawn: name a second run" in errors
    assert "seed-norms.svg" in output


def test_a_figure_that_breaks_does_not_affect_the_others(
    plot, drawable: Path, install, tmp_path: Path
) -> None:
    install("breaking", BROKEN)
    code, output, errors = plot(drawable, "broken", "seed-norms", "--out", tmp_path / "a")
    assert code == 1
    assert "broken is not drawn: ZeroDivisionError" in errors
    assert "seed-norms.png" in output


def test_any_name_of_a_picture_becomes_one_of_a_file(
    plot, drawable: Path, install, tmp_path: Path
) -> None:
    install("breaking", BROKEN)
    code, _, errors = plot(drawable, "sloppy", "--out", tmp_path / "a")
    assert (code, errors) == (0, "")
    names = {path.name for path in (tmp_path / "a").glob("*.png")}
    assert names == {"sloppy-outside.png", "sloppy-react+knn.png", "sloppy-outside-2.png"}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "site-packages"}


def test_a_composition_has_its_name_in_that_of_its_file(plot, tmp_path: Path) -> None:
    make_run(tmp_path / "run", detectors={"react+knn": 2.0, "react-knn": 1.0, "MSP (ours)": 1.0})
    code, output, errors = plot(tmp_path / "run", "scores")
    assert (code, errors) == (0, "")
    assert {Path(line).name for line in output.split() if line.endswith("png")} == {
        "scores-react+knn.png", "scores-react-knn.png", "scores-msp-ours.png"
    }  # fmt: skip


def test_another_runs_generator_can_be_drawn(plot, drawable: Path, tmp_path: Path) -> None:
    code, output, _ = plot(drawable, "foreign-fakes", "--other", drawable, "--out", tmp_path)
    assert code == 0
    assert "foreign-fakes-ganad.png" in output


def test_an_empty_store_leaves_what_the_files_can_give(
    drawable: Path, tmp_path: Path, capsys
) -> None:
    figures = ["scores", "confidence", "growing-seeds"]
    out = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "empty")]
    code = main(["plot", str(drawable), *figures, *out])
    output, errors = capsys.readouterr()
    assert code == 1
    assert "scores-ganad.png" in output
    assert "growing-seeds is not drawn: the fitted Wgan is not in the store" in errors
    assert "confidence is not drawn: the classifier's output on Digits is not in" in errors


MISTAKES = {
    "no run": ((), "name a run's folder, or use --list"),
    "no such run": (("nowhere",), "'nowhere' holds no finished run"),
    "no such figure": (("nowhere", "scorse"), "unknown figure 'scorse'; did you mean 'scores'?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_sentence(plot, mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    code, output, errors = plot(*arguments)
    assert (code, output) == (2, "")
    assert sentence in errors
    assert errors.count("\n") == 1
