"""A run notes down what each detector cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

import oodbench
from oodbench.results.run import read_run


def test_costs_are_those_of_the_fitted_detectors(drawable: Path, store: Path) -> None:
    run = read_run(drawable)
    energy, ganad = run.info["costs"]["energy"], run.info["costs"]["ganad"]
    assert energy["parameters"] == 0
    assert energy["forward_passes"] == 1.0
    assert energy["peak_gpu_memory"] is None
    assert energy["peak_memory"] > 50e6
    fits = [key for key, title in run.info["jobs"].items() if title.startswith("fit ganad (seed")]
    state = load_file(store / fits[0] / "state.safetensors")
    assert ganad["parameters"] == sum(values.size for values in state.values()) > 0


def test_the_passes_of_a_detector_that_calls_the_classifier_count(
    tiny: Path, store: Path, tmp_path: Path, one_cpu
) -> None:
    finished = oodbench.run(
        benchmark=str(tiny),
        detectors=["odin"],
        store=store,
        out=tmp_path,
        engine="inline",
        device="cpu",
    )
    costs = read_run(finished.directory).info["costs"]["odin"]
    assert costs["forward_passes"] == pytest.approx(2.0)


def test_the_weights_of_the_classifier_are_counted(drawable: Path, store: Path) -> None:
    info = read_run(drawable).info
    (train,) = (key for key in info["jobs"] if key.startswith("train/"))
    state = load_file(store / train / "model.safetensors")
    assert info["classifier_parameters"] == sum(values.size for values in state.values())


def test_shipped_weights_leave_the_memory_of_their_fit_unknown() -> None:
    from oodbench.runs.costs import _most
    from oodbench.store.artifacts import Artifact

    made = Artifact(Path(), {"peak_memory": 5}, {})
    shipped = Artifact(Path(), {"peak_memory": 7, "shipped": {}}, {})
    assert _most([made, made], "peak_memory") == 5
    assert _most([made, shipped], "peak_memory") is None
    assert _most([made, None], "peak_memory") is None
