"""A search finds what is best, in one forward pass, whichever engine runs its trials."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oodbench.engine.progress import Progress
from oodbench.errors import UserError
from oodbench.request.options import Options
from oodbench.tuning.search import Tuning, tune
from oodbench_posthoc.knn import NearestNeighbours

SETS = ["Inverted ID", "Jigsaw ID", "Mixed ID"]


@pytest.fixture
def search(tunable, tiny: Path, store: Path, tmp_path: Path, one_cpu):
    """Return a function that tunes for the tiny benchmark, with the shared store."""

    def search_for(*detectors: str, parameters=None, **settings) -> Tuning:
        options = Options(
            benchmark=str(tiny),
            detectors=detectors,
            data=tmp_path / "data",
            device="cpu",
            parameters=parameters or {},
        )
        defaults = {"outliers": None, "images": 80, "store": store, "engine": "inline"}
        return tune(options, observer=Progress(quiet=True), **{**defaults, **settings})

    return search_for


def artifacts(store: Path, stage: str) -> dict[Path, dict]:
    paths = sorted(store.glob(f"{stage}/*/artifact.json"))
    return {path.parent: json.loads(path.read_text())["meta"] for path in paths}


def test_the_best_setting_is_found_and_failed_ones_are_named(search) -> None:
    tuning = search("signed")
    (signed,) = tuning.found
    assert len(signed.tried) == 1 + 3 * 2
    assert signed.best.settings == {"sign": -1.0, "unused": 1}
    assert set(signed.best.auroc) == set(tuning.sets) == set(SETS)
    assert signed.best.mean == pytest.approx(1 - signed.default.mean)
    assert signed.warnings() == [
        "2 of 7 settings failed, first sign 0.0, unused 1: "
        "ZeroDivisionError: no sign (tunable.py:21)"
    ]
    assert tuning.benchmark.parameters["signed"] == {"sign": -1.0}


def test_all_settings_share_one_pass_over_the_images(search, tmp_path: Path) -> None:
    own = tmp_path / "store"
    search("signed", "nearest", store=own)
    passes = artifacts(own, "extract")
    # 80 of each validation set, and all training images that detectors are fitted on
    forwarded = [each["forwarded"] for each in passes.values()]
    assert sorted(forwarded) == [80, 80, 80, 80, 100, 1001]
    search("energy", store=own)
    assert artifacts(own, "extract") == passes
    assert len(artifacts(own, "train")) == 1


def test_the_same_search_again_computes_nothing(search, store: Path) -> None:
    first, before = search("signed", "nearest"), artifacts(store, "*")
    again = search("signed", "nearest")
    assert again.key == first.key
    assert again.found == first.found
    assert artifacts(store, "*") == before


def test_detectors_are_not_fitted_on_what_they_are_tuned_on(search, store: Path) -> None:
    (nearest,) = search("nearest").found
    scored = artifacts(store, "score").items()
    own = [np.load(path / "scores.npy") for path, meta in scored if "nearest" in meta["title"]]
    assert len(own) == 2 * (1 + len(SETS))
    assert all((scores > 0).all() for scores in own)
    assert nearest.warnings() == ["the search changed nothing: all settings give the same AUROC"]


def test_given_parameters_are_kept(search) -> None:
    tuning = search("signed", parameters={"signed": {"sign": "3"}})
    assert [dict(each.settings) for each in tuning.found[0].tried] == [{"unused": 1}, {"unused": 2}]
    assert tuning.benchmark.parameters["signed"] == {"sign": "3"}


def test_what_cannot_be_tuned_is_named(search) -> None:
    tuning = search("maxlogit", "signed", "validated")
    assert list(tuning.untunable) == ["maxlogit", "validated"]
    assert list(tuning.detectors) == ["maxlogit", "signed", "validated"]
    with pytest.raises(UserError, match="none of these detectors has parameters to tune"):
        search("maxlogit")


def test_a_wrong_space_is_the_fault_of_one_detector(search, monkeypatch) -> None:
    monkeypatch.setattr(NearestNeighbours, "space", {"neighbors": (1, 5)})
    tuning = search("knn", "signed")
    assert [each.detector for each in tuning.found] == ["signed"]
    assert "space names ['neighbors']" in tuning.broken["knn"]
    assert list(tuning.untunable) == []
    with pytest.raises(UserError, match="has parameters to tune; knn: space names"):
        search("knn")


def test_odin_or_knn_gets_better(search) -> None:
    tuning = search("odin", "knn")
    gains = [tuned.best.mean - tuned.default.mean for tuned in tuning.found]
    assert min(gains) >= 0
    assert max(gains) > 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray 2.49
def test_ray_tune_finds_the_same(search, tmp_path: Path) -> None:
    inline = search("signed")
    by_ray = search("signed", engine="ray", store=tmp_path / "another")
    assert by_ray.key == inline.key
    assert by_ray.found == inline.found
