"""Guards of whole benchmarks score as their runs did, and keep the rate of false alarms."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from false_alarms import check_rate, check_rate_by_class

import oodbench
from oodbench.guard.export import export_guard
from oodbench.registry.lookup import load_registry
from oodbench.results.run import Run
from oodbench.store.artifacts import Store

DETECTORS = ("msp", "energy", "maxlogit", "gen", "margin")

ALPHAS = (0.01, 0.05, 0.1)


@pytest.fixture(scope="module", params=["digits", "mnist"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    if request.param == "mnist" and "OODBENCH_DATA" not in os.environ:
        pytest.skip("needs OODBENCH_DATA, a folder with MNIST")
    folder = tmp_path_factory.mktemp(request.param)
    return oodbench.run(
        id=request.param,
        ood=["uniform"],
        detectors=list(DETECTORS),
        precision="float32",
        store=folder / "store",
        out=folder / "run",
        engine="inline",
        device="cpu",
    )


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS)
def test_false_alarms_of_a_guard_keep_their_rate_in_1000_splits(
    run: Run, tmp_path: Path, detector: str
) -> None:
    store = run.directory.parent / "store"
    export_guard(run, detector, tmp_path / "guard", Store(store), load_registry())
    guard = oodbench.load_guard(tmp_path / "guard")
    assert guard.card["calibration"]["images"] == "validation"
    scores, predictions = [], []
    for kind in ("validation", "test"):
        images = np.load(store / run.info["artifacts"][f"{kind}_images"] / "images.npy")
        judged = guard(torch.from_numpy(images[:1000]))
        scores.append(judged.scores)
        predictions.append(judged.predictions)
    frame = run.scores()
    own = frame[(frame["detector"] == detector) & (frame["split"] == "test")]
    own = own[own["dataset"] == run.records["id_dataset"].iloc[0]].sort_values("index")
    expected = own["score"].to_numpy()[: len(scores[1])]
    assert scores[1] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    together = np.concatenate(scores)
    for alpha in ALPHAS:
        check_rate(together, len(scores[0]), alpha)
        check_rate_by_class(together, np.concatenate(predictions), alpha)
