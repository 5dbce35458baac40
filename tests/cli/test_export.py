"""The command ``export`` writes weights that a plugin can ship, and a run takes them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import oodbench
from oodbench.cli import main
from oodbench.identity.pretrained import read_weights
from oodbench.registry.lookup import load_registry


def export(run: Path, store: Path, folder: Path, *options: str) -> int:
    return main(["export", str(run), str(folder), "--store", str(store), *options])


def test_trainings_are_exported_by_title(drawable: Path, store: Path, tmp_path: Path) -> None:
    assert export(drawable, store, tmp_path, "--jobs", "fit*ganad*") == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "tiny-fit-ganad-seed-0",
        "tiny-fit-ganad-seed-1",
        "tiny-fit-wgan-of-ganad-seed-0",
    }
    card = json.loads((tmp_path / "tiny-fit-ganad-seed-1" / "card.json").read_text())
    assert card["origin"]["parameters"]["anomaly_steps"] == 3
    assert card["origin"]["seed"] == 1
    assert card["run"]["request"]["seeds"] == [0, 1]


def test_what_was_exported_is_taken_by_another_store(
    drawable: Path, store: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(drawable, store, tmp_path / "weights")
    exported = [read_weights(path) for path in (tmp_path / "weights").iterdir()]
    found = {key: (weights,) for key, weights in exported}
    loaded = dataclasses.replace(load_registry(), weights=found)
    monkeypatch.setattr("oodbench.runs.runner.load_registry", lambda: loaded)
    run = oodbench.run(
        benchmark=str(tiny),
        detectors=["ganad"],
        seeds=2,
        parameters={"ganad": {"recipe": "tiny", "steps": 3, "anomaly_steps": 3}},
        store=tmp_path / "store",
        out=tmp_path / "run",
        engine="inline",
        device="cpu",
    )
    assert set(run.info["shipped"]) == {
        "train preact-resnet (seed 0)",
        "fit wgan of ganad (seed 0)",
        "fit ganad (seed 0)",
        "fit ganad (seed 1)",
    }


def test_an_export_from_another_store_leaves_no_folder(
    drawable: Path, tmp_path: Path, capsys
) -> None:
    arrays = tmp_path / "arrays"
    assert main(["export", str(drawable), "--arrays", str(arrays), "--store", str(tmp_path)]) == 2
    assert "not all in the store" in capsys.readouterr().err
    assert not arrays.exists()


def test_a_pattern_that_fits_nothing_is_refused(
    drawable: Path, store: Path, tmp_path: Path, capsys
) -> None:
    assert export(drawable, store, tmp_path, "--jobs", "nothing") == 2
    assert "no training called 'nothing'" in capsys.readouterr().err
