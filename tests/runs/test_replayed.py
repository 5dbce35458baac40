"""A replay catches scores that are not those of the detectors, and accepts those that are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import oodbench
from oodbench.cli import main
from oodbench.engine.progress import Progress
from oodbench.registry.lookup import load_registry
from oodbench.results.run import read_run
from oodbench.runs.replayed import check_predictions, check_scores, replay
from oodbench.store.artifacts import Store
from oodbench.store.paths import data_folder

DETECTORS = ["energy", "msp", "knn", "mahalanobis"]
TITLE = "Glyphs"

DEFINITION = """
name = "digits"
id = "digits"
ood = ["glyphs", "uniform"]
classifier = "preact-resnet"
images_per_set = 200
validation_images = 200
[parameters.preact-resnet]
epochs = 30
shift = 0
"""

Forgery = Callable[[pd.DataFrame, np.random.Generator], pd.Series]


def chosen(scores: pd.DataFrame, title: str = TITLE) -> pd.Series:
    return (scores["detector"] == "energy") & (scores["dataset"] == title)


def shift(scores: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Add a quarter to three standard deviations to one set."""
    amount = random.uniform(0.25, 3) * scores.loc[chosen(scores, "Digits"), "score"].std()
    return scores["score"] + amount * chosen(scores)


def swap(scores: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Exchange scores between the images of a set."""
    forged, own = scores["score"].copy(), chosen(scores)
    forged[own] = random.permutation(forged[own].to_numpy())
    return forged


def copy(scores: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Take the scores of another detector, all sets alike."""
    forged, mine = scores["score"].copy(), scores["detector"] == "energy"
    other = scores["detector"] == random.choice([name for name in DETECTORS if name != "energy"])
    forged[mine] = forged[other].to_numpy()
    return forged


def invent(scores: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Draw the scores of all sets."""
    forged, mine = scores["score"].copy(), scores["detector"] == "energy"
    above = (scores["dataset"] != "Digits")[mine] * random.uniform(1, 4)
    forged[mine] = random.normal(size=mine.sum()) + above
    return forged


def tenth(scores: pd.DataFrame, random: np.random.Generator) -> pd.Series:
    """Move the tenth of a set with the lowest scores, which is what a detector misses, far up."""
    forged, own = scores["score"].copy(), chosen(scores)
    lowest = own & (forged <= forged[own].quantile(0.1))
    forged[lowest] = forged[own].max() + random.uniform(0, 1)
    return forged


FORGERIES: list[Forgery] = [shift, swap, copy, invent, tenth]


def run_on_digits(out: Path, store: Path, **options) -> oodbench.Run:
    """Run detectors on digits, with the classifier's weights that ship."""
    return oodbench.run(
        "digits",
        DETECTORS,
        ood=["glyphs", "uniform"],
        store=store,
        out=out,
        engine="inline",
        device="cpu",
        **{"precision": "float32", "images": 200} | options,
    )


def replayed(run: oodbench.Run, store: Path, seed: int, count: int = 100):
    quiet = Progress(quiet=True)
    return replay(run, count, data=data_folder(None), store=Store(store), observer=quiet, seed=seed)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replayed")


@pytest.fixture(scope="module")
def run(shared: Path) -> oodbench.Run:
    return run_on_digits(shared / "run", shared / "store")


@pytest.fixture(scope="module")
def again(run, shared) -> pd.DataFrame:
    """Return the scores of some images of each set, as a replay computes them."""
    scores = run.scores()
    tests = scores[scores["split"] == "test"]
    kept = tests.groupby(["detector", "dataset"], observed=True).sample(100, random_state=0)
    return pd.concat([scores[scores["split"] == "calibration"], kept])


def test_an_honest_run_is_replayed_without_a_misfit(run, shared) -> None:
    found = replayed(run, shared / "store", seed=5)
    assert found.misfits == ()
    assert found.unchecked == ()
    assert found.scores == len(DETECTORS) * (3 * 100 + 1000)


@pytest.mark.parametrize("forge", FORGERIES)
def test_forged_scores_are_caught(run, again, forge: Forgery) -> None:
    scores = run.scores()
    forged = scores.assign(score=forge(scores, np.random.default_rng(0)))
    found = list(check_scores(forged, again))
    assert found
    assert all(sentence.startswith("energy (seeds 0, none) on ") for sentence in found)
    assert list(check_scores(scores, again)) == []


def test_forged_predictions_are_caught(run) -> None:
    told = run.predictions()
    again = told[told["split"] == "test"].groupby("dataset", observed=True).head(100)
    assert list(check_predictions(told, again)) == []
    forged = told.assign(prediction=told["label"].where(told["dataset"] == "Digits", 0))
    wrong = (told["prediction"] != forged["prediction"]) & (told["dataset"] == TITLE)
    assert wrong.any()
    assert any(TITLE in sentence for sentence in check_predictions(forged, again))


def test_missing_images_are_misfits(run, again) -> None:
    scores = run.scores()
    few = scores[~(chosen(scores) & (scores["index"] % 2 == 0))]
    assert any(TITLE in sentence for sentence in check_scores(few, again))


def test_what_was_trained_in_the_run_is_named(drawable, store) -> None:
    found = replay(
        oodbench.read_run(drawable),
        20,
        data=data_folder(None),
        store=Store(store),
        observer=Progress(quiet=True),
    )
    assert found.scores == 0
    assert sorted(found.unchecked) == [
        f"{name}: was trained in the run, and its weights do not ship"
        for name in ("energy", "ganad")
    ]


def test_what_cannot_be_scored_here_is_named(run, shared, monkeypatch) -> None:
    def fail(self, batch):
        raise RuntimeError("no such processor")

    monkeypatch.setattr(type(load_registry().detectors["msp"].create()), "score", fail)
    found = replayed(run, shared / "store", seed=6, count=20)
    assert found.misfits == ()
    (sentence,) = found.unchecked
    assert sentence.startswith("msp: ")
    assert "no such processor" in sentence
    assert found.scores == (len(DETECTORS) - 1) * (3 * 20 + 1000)


def test_an_honest_run_of_other_images_is_not_suspected(shared) -> None:
    """Its parameters say how to draw these; those of an older run, which has none, do not."""
    run = run_on_digits(
        shared / "drawn", shared / "store", parameters={"uniform": {"seed": 7}}, images=50
    )
    found = replayed(run, shared / "store", seed=5, count=10)
    assert (found.misfits, found.unchecked) == ((), ())
    assert found.scores > 0
    path = run.directory / "run.json"
    info = json.loads(path.read_text())
    del info["request"]["datasets"]
    path.write_text(json.dumps(info))
    found = replayed(read_run(run.directory), shared / "store", seed=5, count=10)
    assert found.misfits == ()
    (sentence,) = found.unchecked
    assert sentence.startswith("Uniform: its images here are not those of the run")
    assert found.scores == 0


def test_a_run_without_a_classifier_is_replayed(shared) -> None:
    run = oodbench.run(
        benchmark=oodbench.contracts.Benchmark(
            name="one-class", id="digits[3]", ood=("digits[!3]",), classifier="none"
        ),
        detectors=["brightness"],
        store=shared / "store",
        out=shared / "one-class",
        engine="inline",
        device="cpu",
    )
    found = replayed(run, shared / "store", seed=5, count=10)
    assert found.misfits == ()
    assert found.unchecked == ()
    assert found.scores > 20


def test_the_command_verifies_and_replays(shared, run, tmp_path, capsys) -> None:
    pack = tmp_path / "pack.zip"
    assert main(["submit", str(run.directory), "--out", str(pack)]) == 0
    definition = tmp_path / "some.toml"
    definition.write_text(DEFINITION)
    command = ["verify", str(pack), "--benchmark", str(definition), "--replay", "50"]
    assert main([*command, "--store", str(shared / "store")]) == 0
    assert "replayed: 4,600 scores are those of the detectors" in capsys.readouterr().out


@pytest.mark.slow
def test_of_two_hundred_forgeries_at_least_99_percent_are_caught(run, again) -> None:
    scores, random = run.scores(), np.random.default_rng(1)
    caught = 0
    for number in range(200):
        forge = FORGERIES[number % len(FORGERIES)]
        caught += bool(list(check_scores(scores.assign(score=forge(scores, random)), again)))
    assert caught >= 198


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_honest_run_is_suspected(tmp_path: Path, precision: str) -> None:
    import torch

    run = run_on_digits(tmp_path / "run", tmp_path / "store", precision=precision)
    before = torch.get_num_threads()
    try:
        for seed in range(25):
            torch.set_num_threads(1 + seed % 2)
            (tmp_path / "again").mkdir()
            assert replayed(run, tmp_path / "again", seed).misfits == ()
            (tmp_path / "again").rename(tmp_path / f"again-{seed}")
    finally:
        torch.set_num_threads(before)
