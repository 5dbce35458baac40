"""The images of a run are found again where they are the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from oodbench.cli import main
from oodbench.images.geometry import to_geometry
from oodbench.plot.images import find_images
from oodbench.registry.lookup import load_registry
from oodbench.results.run import Run, read_run


@pytest.fixture
def run(drawable: Path) -> Run:
    return read_run(drawable)


def changed(run: Run, **request: object) -> Run:
    info = {**run.info, "request": {**run.info["request"], **request}}
    return dataclasses.replace(run, info=info)


def test_the_images_are_those_of_the_run(run: Run, tmp_path: Path) -> None:
    found = find_images(run, load_registry(), tmp_path)
    assert list(found) == ["Digits", "Uniform", "PhotoPatches-bw"]
    loaded = load_registry().datasets["digits"].create().load(tmp_path, "test")
    expected = to_geometry(loaded.images[[3, 1]], (1, 8, 8))
    np.testing.assert_array_equal(found["Digits"](np.array([3, 1])), expected)


def test_other_images_of_the_same_name_are_left_out(run: Run, tmp_path: Path) -> None:
    prints = run.info["request"]["fingerprints"]
    other = changed(run, fingerprints={**prints, "test": "0" * 64})
    assert list(find_images(other, load_registry(), tmp_path)) == ["Uniform", "PhotoPatches-bw"]


def test_what_is_not_at_hand_or_not_installed_is_left_out(run: Run, tmp_path: Path) -> None:
    assert list(find_images(changed(run, ood=["svhn", "gone"]), load_registry(), tmp_path)) == [
        "Digits"
    ]
    assert find_images(changed(run, id="gone"), load_registry(), tmp_path) == {}


def test_the_command_shows_them(drawable: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(drawable), "--out", str(page), "--data", str(tmp_path)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "data:image/png;base64," in text
    assert "No images of" not in text
