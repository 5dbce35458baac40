"""The command ``score`` writes a row a picture; a bad one costs its own row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import oodbench
from oodbench.cli import main
from oodbench.contracts import PluginError
from oodbench.guard.guard import Guard


@pytest.fixture(scope="module")
def guard(tiny: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guard")
    oodbench.run(
        benchmark=str(tiny),
        detectors=["energy"],
        precision="float32",
        store=store,
        out=folder / "run",
        engine="inline",
        device="cpu",
    )
    place = ["--guard", "energy", str(folder / "energy"), "--store", str(store)]
    assert main(["export", str(folder / "run"), *place]) == 0
    return folder / "energy"


@pytest.fixture
def pictures(guard: Path, store: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Return a folder of pictures, one of them damaged, and the images of the others."""
    info = oodbench.read_run(guard.parent / "run").info
    images = np.load(store / info["artifacts"]["test_images"] / "images.npy")[:20, 0]
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    (folder / "more" / "broken.png").write_bytes((folder / "00.png").read_bytes()[:50])
    return folder, images


def score(capsys: pytest.CaptureFixture[str], *line: object) -> tuple[int, list[dict], str]:
    code = main(["score", *map(str, line)])
    output, errors = capsys.readouterr()
    return code, list(csv.DictReader(io.StringIO(output))), errors


def test_each_picture_has_a_row_and_a_bad_one_costs_its_own(
    guard: Path, pictures: tuple[Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = pictures
    code, rows, errors = score(capsys, guard, folder, "--alpha", "0.2")
    assert code == 0
    loaded = oodbench.load_guard(guard)
    judged = loaded(images)
    *known, broken = rows
    assert [Path(row["path"]).name for row in known] == [f"{n:02}.png" for n in range(20)]
    assert [int(row["prediction"]) for row in known] == judged.predictions.tolist()
    assert [float(row["score"]) for row in known] == pytest.approx(judged.scores, rel=1e-6)
    assert [float(row["p_value"]) for row in known] == pytest.approx(judged.p_values)
    decisions = ["accepted" if each else "rejected" for each in judged.accepted(0.2)]
    assert [row["decision"] for row in known] == decisions
    assert (broken["decision"], broken["score"]) == ("unreadable", "")
    assert "not a readable image" in broken["error"]
    assert errors.splitlines()[-1] == (
        f"{decisions.count('accepted')} accepted, {decisions.count('rejected')} rejected, "
        "1 unreadable (alpha 0.2)"
    )


def test_of_a_wide_picture_the_centre_is_judged(
    guard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 100), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels[:, 30:70]).save(tmp_path / "centre.png")
    _, rows, _ = score(capsys, guard, tmp_path)
    scores = [float(row["score"]) for row in rows]
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)  # which differ in the pixels at the edge


def test_rows_can_go_to_a_file(
    guard: Path,
    pictures: tuple[Path, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = pictures
    file = tmp_path / "rows.csv"
    assert main(["score", str(guard), str(folder), "--out", str(file), "--quiet"]) == 0
    assert capsys.readouterr() == (f"{file}\n", "")
    with file.open() as lines:
        assert len(list(csv.DictReader(lines))) == 21
    assert main(["score", str(guard), str(folder), "--out", str(tmp_path / "no" / "rows")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_the_exit_code_can_say_that_a_picture_was_rejected(
    guard: Path, pictures: tuple[Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    broken = folder / "more" / "broken.png"
    accepted = [str(folder / f"{number:02}.png") for number in range(20)]
    _, rows, _ = score(capsys, guard, *accepted)
    kept = [row["path"] for row in rows if row["decision"] == "accepted"]
    assert score(capsys, guard, *kept, "--fail-on-reject")[0] == 0
    assert score(capsys, guard, *kept, broken, "--fail-on-reject")[0] == 1
    assert score(capsys, guard, *kept, broken)[0] == 0


def test_by_class_p_values_are_those_of_the_predicted_class(
    guard: Path, pictures: tuple[Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = pictures
    _, rows, _ = score(capsys, guard, folder, "--by-class")
    judged = oodbench.load_guard(guard, by_class=True)(images)
    assert [float(row["p_value"]) for row in rows[:20]] == pytest.approx(judged.p_values)


def test_a_picture_without_a_score_costs_its_own_row(
    guard: Path,
    pictures: tuple[Path, np.ndarray],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = pictures
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "black.png")
    whole = Guard._judge

    def fussy(self, images):
        found = whole(self, images)
        if (images.flatten(1).sum(dim=1) == 0).any():
            raise PluginError("score() returned 1 scores that are NaN or infinite")
        return found

    monkeypatch.setattr(Guard, "_judge", fussy)
    _, rows, _ = score(capsys, guard, folder)
    decisions = {Path(row["path"]).name: row["decision"] for row in rows}
    assert decisions["black.png"] == decisions["broken.png"] == "unreadable"
    assert sum(each != "unreadable" for each in decisions.values()) == 20


@pytest.mark.parametrize(
    ("line", "reason"),
    {
        "no guard": (["TMP", "CARD"], "holds no guard"),
        "no pictures": (["GUARD", "TMP"], "holds no pictures"),
        "nothing there": (["GUARD", "pictrues"], "'pictrues' does not exist"),
        "a rate that is none": (["GUARD", "x.png", "--alpha", "5"], "'5' is not a number between"),
        "a rate in words": (["GUARD", "x.png", "--alpha", "low"], "'low' is not a number"),
    }.values(),
)
def test_mistakes_are_one_sentence(
    guard: Path,
    tmp_path: Path,
    line: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = {"GUARD": str(guard), "TMP": str(tmp_path), "CARD": str(guard / "card.json")}
    try:
        code = main(["score", *(named.get(word, word) for word in line)])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert reason in capsys.readouterr().err
