"""A guard judges images as its run did, wherever it is, and refuses what it cannot vouch for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import oodbench
from oodbench.cli import main
from oodbench.errors import InvalidData, UserError
from oodbench.guard import guard as module
from oodbench.guard.export import export_guard
from oodbench.registry.lookup import load_registry
from oodbench.results.run import Run
from oodbench.store.artifacts import Store

DETECTORS = (
    *("msp", "energy", "knn", "react+knn", "odin", "klmatching", "multi-mahalanobis"),
    "ganad-joint",
)


@pytest.fixture(scope="module")
def run(tiny: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run in float32."""
    folder = tmp_path_factory.mktemp("runs") / "guarded"
    return oodbench.run(
        benchmark=str(tiny),
        detectors=list(DETECTORS),
        parameters={"ganad-joint": {"recipe": "tiny", "steps": 3, "anomaly_steps": 3}},
        precision="float32",
        store=store,
        out=folder,
        engine="inline",
        device="cpu",
    )


def export(run: Run, store: Path, detector: str, folder: Path) -> int:
    place = ["--guard", detector, str(folder), "--store", str(store)]
    return main(["export", str(run.directory), *place])


@pytest.fixture(scope="module")
def guards(run: Run, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a guard of each detector."""
    folder = tmp_path_factory.mktemp("guards")
    for detector in DETECTORS:
        assert export(run, store, detector, folder / detector) == 0
    return folder


def images_of(run: Run, store: Path, kind: str) -> np.ndarray:
    return np.load(store / run.info["artifacts"][f"{kind}_images"] / "images.npy")


def scores_of(run: Run, detector: str) -> np.ndarray:
    scores = run.scores()
    own = scores[(scores["detector"] == detector) & (scores["split"] == "test")]
    return own[own["dataset"] == run.records["id_dataset"].iloc[0]]["score"].to_numpy()


ELSEWHERE = """
import json, sys
import numpy as np, torch
import oodbench
found = {}
for detector in sys.argv[3:]:
    guard = oodbench.load_guard(f"{sys.argv[1]}/{detector}")
    found[detector] = guard(torch.from_numpy(np.load(sys.argv[2]))).scores.tolist()
harness = ("ray", "oodbench.runs", "oodbench.engine", "oodbench.plan", "oodbench.report", "pandas")
print(json.dumps([found, [name for name in harness if name in sys.modules]]))
"""


def test_a_new_process_elsewhere_gives_the_scores_of_the_run_without_the_harness(
    run: Run, store: Path, guards: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", images_of(run, store, "test"))
    moved = tmp_path / "moved"
    guards.rename(moved)
    try:
        command = [sys.executable, "-c", ELSEWHERE, str(moved), str(tmp_path / "images.npy")]
        process = subprocess.run(
            [*command, *DETECTORS], cwd=tmp_path, check=True, capture_output=True, text=True
        )
    finally:
        moved.rename(guards)
    found, harness = json.loads(process.stdout)
    assert harness == []
    for detector in DETECTORS:
        assert found[detector] == pytest.approx(scores_of(run, detector), rel=1e-6, abs=1e-6)


def test_predictions_are_the_classifiers(run: Run, store: Path, guards: Path) -> None:
    judged = oodbench.load_guard(guards / "msp")(torch.from_numpy(images_of(run, store, "test")))
    own = run.predictions()
    own = own[(own["dataset"] == "Digits") & (own["split"] == "test")]
    assert judged.predictions.tolist() == own["prediction"].tolist()
    assert judged.confidences == pytest.approx(-judged.scores, abs=1e-6)


def test_thresholds_come_from_images_that_nothing_has_learned_from(
    run: Run, store: Path, guards: Path
) -> None:
    kinds = {"energy": "validation", "klmatching": "test", "ganad-joint": "test"}
    for detector, kind in kinds.items():
        guard = oodbench.load_guard(guards / detector)
        images = torch.from_numpy(images_of(run, store, kind))
        assert guard.card["calibration"]["images"] == kind
        assert guard.card["calibration"]["count"] == len(images)
        judged = guard(images)
        for alpha in (0.01, 0.05, 0.1):
            limit = guard.threshold(alpha)
            assert limit == pytest.approx(guard.card["thresholds"][f"{alpha:g}"])
            assert limit in judged.scores
            rejected = ~judged.accepted(alpha)
            assert np.array_equal(rejected, judged.scores > limit)
            assert rejected.mean() <= alpha


def test_by_class_each_predicted_class_has_its_own_threshold(
    run: Run, store: Path, guards: Path
) -> None:
    guard = oodbench.load_guard(guards / "energy", by_class=True)
    judged = guard(torch.from_numpy(images_of(run, store, "validation")))
    for each in np.unique(judged.predictions):
        own = judged.predictions == each
        limit = guard.threshold(0.1, int(each))
        assert np.array_equal(judged.accepted(0.1)[own], judged.scores[own] <= limit)
    with pytest.raises(ValueError, match="a threshold for each class"):
        guard.threshold(0.1)
    with pytest.raises(ValueError, match="one for all"):
        oodbench.load_guard(guards / "energy").threshold(0.1, 3)


def test_images_come_as_bytes_or_numbers_in_any_batch(run: Run, store: Path, guards: Path) -> None:
    guard = oodbench.load_guard(guards / "knn")
    images = torch.from_numpy(images_of(run, store, "test"))[:7]
    expected = guard(images).scores
    assert guard(images.float() / 255).scores == pytest.approx(expected, rel=1e-6)
    assert guard(images[:, 0].numpy()).scores == pytest.approx(expected, rel=1e-6)
    one_by_one = np.concatenate([guard(image[None]).scores for image in images])
    assert one_by_one == pytest.approx(expected, rel=1e-5)
    large = np.kron(images[:, 0].numpy(), np.ones((1, 4, 4), np.uint8))
    assert len(guard(np.stack([large] * 3, axis=-1)).scores) == 7
    assert len(guard(images[:0]).scores) == 0


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (torch.zeros(2, 1, 9, 8), r"images are \(2, 1, 9, 8\), not an array or a tensor"),
        (torch.full((2, 1, 8, 8), 2.0), r"neither uint8 nor floating point in \[0, 1\]"),
        (torch.full((2, 1, 8, 8), torch.nan), "neither uint8 nor"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "neither uint8 nor"),
        (np.zeros((2, 8, 8)), r"images are float64 \(2, 8, 8\), not uint8"),
        ("picture.png", "images are str"),
        (np.zeros((64, 64, 3), np.uint8), r"may be one image .* pass one as images\[None\]"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"not uint8 \(n, h, w\), \(n, h, w, 1\) or"),
    ],
)
def test_other_images_are_refused(guards: Path, images: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        oodbench.load_guard(guards / "msp")(images)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "own", "expected"),
    [
        ((64, 64, 3), (1, 8, 8), True),  # channels last
        ((64, 64, 1), (1, 8, 8), True),
        ((64, 64, 4), (3, 32, 32), True),
        ((3, 64, 64), (1, 8, 8), True),  # channels first
        ((3, 32, 32), (3, 32, 32), True),
        ((3, 8, 8), (1, 8, 8), False),  # grey images of the guard's own geometry
        ((64, 32, 32), (3, 32, 32), False),
        ((1, 64, 64), (3, 32, 32), False),  # one grey image either way
        ((2, 64, 48), (1, 8, 8), False),
        ((64, 64, 64), (1, 8, 8), False),
    ],
)
def test_an_array_that_may_be_one_image_is_told_from_grey_images(shape, own, expected) -> None:
    assert module.may_be_one(shape, own) == expected


def test_one_image_and_grey_images_can_be_told_to_a_guard(guards: Path) -> None:
    guard = oodbench.load_guard(guards / "msp")
    photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(guard(photograph[None]).scores) == 1
    grey = np.ascontiguousarray(photograph.transpose(2, 0, 1))
    expected = np.concatenate([guard(each[None]).scores for each in grey])
    assert guard(grey[..., None]).scores == pytest.approx(expected, rel=1e-5)


def test_the_callers_random_numbers_stay_as_they_are(run: Run, store: Path, guards: Path) -> None:
    images = torch.from_numpy(images_of(run, store, "test"))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    oodbench.load_guard(guards / "knn")(images)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "name", ["classifier/model.safetensors", "detector/state.json", "calibration.safetensors"]
)
def test_a_changed_file_is_refused(guards: Path, name: str) -> None:
    file = guards / "knn" / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"#")
    try:
        with pytest.raises(InvalidData, match="missing or damaged; export the guard again"):
            oodbench.load_guard(guards / "knn")
    finally:
        file.write_bytes(content)


def test_a_changed_card_is_refused(guards: Path) -> None:
    card = guards / "knn" / "card.json"
    content = card.read_text()
    card.write_text(content.replace('"count": ', '"count": 1'))
    try:
        with pytest.raises(InvalidData, match="is not as it was written"):
            oodbench.load_guard(guards / "knn")
    finally:
        card.write_text(content)


def test_a_device_that_is_not_there_is_refused(
    guards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oodbench.hardware.count_gpus", lambda: 0)
    with pytest.raises(UserError, match="torch finds no GPU here"):
        oodbench.load_guard(guards / "knn", device="cuda")
    with pytest.raises(UserError, match="unknown device 'tpu'"):
        oodbench.load_guard(guards / "knn", device="tpu")
    assert oodbench.load_guard(guards / "knn", device="auto").threshold(0.05) > 0


def test_a_missing_plugin_is_named(guards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = module._registry()
    monkeypatch.setattr(registry.detectors, "_entries", {})
    with pytest.raises(UserError, match="needs the plugins of oodbench"):
        oodbench.load_guard(guards / "knn")


def test_a_card_says_what_a_guard_is_and_is_not(run: Run, guards: Path) -> None:
    card = json.loads((guards / "react+knn" / "card.json").read_text())
    assert card["detector"]["plugin"] == run.info["plugins"]["react+knn"]
    assert card["classifier"]["plugin"] == run.info["plugins"]["preact-resnet"]
    rows = run.records[(run.records["detector"] == "react+knn")]
    rows = rows[rows["ood_dataset"] != ""].set_index("ood_dataset")
    for measured in card["measures"]:
        row = rows.loc[measured["ood_dataset"]]
        assert measured["auroc_low"] == row["auroc_low"] < measured["auroc"] == row["auroc"]
    assert card["run"]["request"]["precision"] == "float32"
    assert card["limits"][0].startswith(
        "At alpha, at most that share of inputs that are drawn as the 100 validation images of "
        "Digits were is rejected"
    )
    assert "Uniform" in card["limits"][1]
    assert not any(path.suffix in {".pkl", ".pt", ".pth"} for path in guards.rglob("*"))


def test_what_cannot_be_exported_is_refused(
    run: Run, store: Path, guards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(run, store, "vim", tmp_path / "guard") == 2
    assert "the run has no detector 'vim'; it has msp, energy" in capsys.readouterr().err
    assert export(run, store, "knn", guards / "knn") == 2
    assert "exists; name a folder that does not" in capsys.readouterr().err
    assert export(run, tmp_path / "empty", "knn", tmp_path / "guard") == 2
    assert "is not in the store" in capsys.readouterr().err
    assert not (tmp_path / "guard").exists()
    of_none = replace(run, info={**run.info, "artifacts": {"classifiers": []}})
    with pytest.raises(UserError, match="protects a classifier, and the run has none"):
        export_guard(of_none, "knn", tmp_path / "guard", Store(store), load_registry())
    with pytest.raises(UserError, match="holds no guard"):
        oodbench.load_guard(tmp_path)


def test_a_detector_of_several_classifiers_is_refused(
    run: Run,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load_registry().detectors["msp"].target, "ensemble", True)
    assert export(run, store, "msp", tmp_path / "guard") == 2
    assert "a guard has one classifier, and msp scores by several" in capsys.readouterr().err


def test_a_detector_that_failed_is_refused(
    run: Run, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = run.records.assign(status="failed", error="score() returned NaN")
    broken = replace(run, records=pd.concat([failed]))
    with pytest.raises(UserError, match="knn failed in the run: score"):
        export_guard(broken, "knn", tmp_path / "guard", Store(store), load_registry())
