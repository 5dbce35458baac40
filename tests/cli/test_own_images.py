"""What was taken of a user's own images is said wherever a run is asked for, and before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.cli import main


def write_folder(folder: Path, *, classes: int = 0, count: int = 4, seed: int = 0) -> None:
    """Write random pictures, into folders of classes if there are any."""
    draws = np.random.default_rng(seed)
    for number in range(count):
        place = folder / (f"class{number % classes}" if classes else "")
        place.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with an ID set ``own`` and an OOD set ``other``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    write_folder(tmp_path / "own" / "train", classes=2, count=40, seed=1)
    write_folder(tmp_path / "own" / "test", classes=2, count=10, seed=2)
    write_folder(tmp_path / "other", count=6, seed=3)
    return tmp_path


ASKED = "--id ./own --ood ./other --classifier preact-resnet --detectors msp --store store"
TAKEN = {
    "own (train)": "40 images in 2 classes (class0, class1)",
    "own (test)": "10 images in 2 classes (class0, class1)",
    "other": "6 images",
}


def test_a_plan_says_what_was_taken(here: Path, capsys) -> None:
    assert main(["plan", *ASKED.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {f"{title}: {text}" for title, text in TAKEN.items()} <= {*lines}
    assert main(["plan", *ASKED.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == TAKEN


def test_data_status_says_what_was_taken_of_a_path(here: Path, capsys) -> None:
    assert main(["data", "status", "./own", "./other"]) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(name, split, text.strip()) for name, split, text in rows] == [
        ("./own", "train", TAKEN["own (train)"]),
        ("./own", "test", TAKEN["own (test)"]),
        ("./other", "test", TAKEN["other"]),
    ]
