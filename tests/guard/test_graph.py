"""A guard's ONNX graph gives the guard's scores, or is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import oodbench
from oodbench.cli import main
from oodbench.errors import UserError
from oodbench.guard import graph
from oodbench.guard.graph import GRAPH, write_graph

FAST = ("energy", "vim")

GRAPHS = (
    *("msp", "maxlogit", "entropy", "gen", "margin", "doctor", "knn", "mahalanobis", "rmd"),
    *("residual", "react", "ash", "scale", "vra", "dice", "she", "cosine", "gradnorm", "neco"),
    *("gmm", "temperature-scaling", "klmatching", "fdbd", "nnguide", "relation"),
)

REFUSED = {
    "odin": "it passes images through the classifier again, or takes gradients",
    "multi-mahalanobis": "it reads inner layers of the classifier",
    "openmax": "",  # torch has its own words for NumPy
}


@pytest.fixture(scope="module")
def run(tiny: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run in float32."""
    folder = tmp_path_factory.mktemp("runs") / "graphs"
    oodbench.run(
        benchmark=str(tiny),
        detectors=[*FAST, *GRAPHS, *REFUSED],
        # this small network has negative features, by whose sum neither can divide
        parameters={"ash": {"variant": "ash-p"}, "scale": {"percentile": 0.0}},
        precision="float32",
        store=store,
        out=folder,
        engine="inline",
        device="cpu",
    )
    return folder


def export(run: Path, store: Path, detector: str, folder: Path, *options: str) -> int:
    place = ["--guard", detector, str(folder), "--store", str(store)]
    return main(["export", str(run), *place, *options])


@pytest.mark.parametrize(
    "detector", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in GRAPHS)]
)
def test_a_graph_gives_the_scores_of_the_guard_for_any_number_of_images(
    run: Path, store: Path, tmp_path: Path, detector: str
) -> None:
    for package in graph.PACKAGES:
        pytest.importorskip(package)
    import onnx
    import onnxruntime

    assert export(run, store, detector, tmp_path / "guard", "--onnx") == 0
    guard = oodbench.load_guard(tmp_path / "guard")
    assert GRAPH in guard.card["files"]
    model = onnx.load(tmp_path / "guard" / GRAPH)
    assert [each.version for each in model.opset_import if not each.domain] == [graph.OPSET]
    session = onnxruntime.InferenceSession(tmp_path / "guard" / GRAPH)
    for count in (1, 2, 7, 100):
        images = torch.rand(count, *guard.shape, generator=torch.Generator().manual_seed(count))
        logits, scores = session.run(["logits", "scores"], {"images": images.numpy()})
        judged = guard(images)
        assert logits.argmax(axis=1).tolist() == judged.predictions.tolist()
        assert scores.shape == (count,)
        assert graph._difference(scores, judged.scores) < 2 * graph.TOLERANCE  # of other images


@pytest.mark.parametrize(
    ("detector", "reason"),
    [
        pytest.param(*each, marks=[pytest.mark.slow] if each[0] == "openmax" else [])
        for each in REFUSED.items()
    ],
)
def test_a_detector_that_no_graph_can_hold_is_refused_in_one_sentence(
    run: Path,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    detector: str,
    reason: str,
) -> None:
    for package in graph.PACKAGES:
        pytest.importorskip(package)
    assert export(run, store, detector, tmp_path / "guard", "--onnx") == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"oodbench: {detector} cannot be written as an ONNX graph: {reason}")
    assert errors.count("\n") == 1
    assert not (tmp_path / "guard").exists()


def test_scores_that_differ_are_refused(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export(run, store, "energy", tmp_path / "guard") == 0
    guard = oodbench.load_guard(tmp_path / "guard")
    images = torch.zeros(3, *guard.shape, dtype=torch.uint8)
    expected = guard(images).scores
    monkeypatch.setattr(graph, "PACKAGES", ())
    monkeypatch.setattr(graph, "_record", lambda *_: None)
    monkeypatch.setattr(graph, "_convert", lambda *_: None)
    monkeypatch.setattr(graph, "_scores", lambda *_: expected * (1 + 5e-6))
    write_graph(guard, images, tmp_path / GRAPH)
    monkeypatch.setattr(graph, "_scores", lambda *_: expected * (1 + 5e-5))
    with pytest.raises(UserError, match=r"would differ by up to 5\.0e-05 of their size"):
        write_graph(guard, images, tmp_path / GRAPH)
    monkeypatch.setattr(graph, "_scores", lambda *_: expected * np.nan)
    with pytest.raises(UserError, match="would differ by up to nan"):
        write_graph(guard, images, tmp_path / GRAPH)


def test_small_scores_are_compared_by_the_size_of_the_others() -> None:
    expected = np.array([0.0, 1.0, 2.0, 1e6])
    found = np.array([1e-6, 1.0, 2.0, 1e6])
    assert graph._difference(found, expected) == pytest.approx(1e-6 / 1.5)
    found = np.array([0.0, 1.0, 2.0, 1e6 + 1])
    assert graph._difference(found, expected) == pytest.approx(1e-6)


def test_packages_that_are_missing_are_named(
    run: Path,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "PACKAGES", ("no_such_package",))
    assert export(run, store, "energy", tmp_path / "guard", "--onnx") == 2
    assert "an ONNX graph needs no_such_package; the extra 'onnx' has" in capsys.readouterr().err
    assert main(["export", str(run), str(tmp_path / "weights"), "--onnx"]) == 2
    assert "add --guard DETECTOR DIR" in capsys.readouterr().err
