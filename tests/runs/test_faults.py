"""Whatever breaks its contract loses its own rows, and the others' rows are as without it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
import sample_detectors as sample
from PIL import Image

import oodbench
from oodbench.contracts import Detector, Need
from oodbench.errors import OodbenchError, UserError
from oodbench.results import files
from oodbench.results.columns import RECORD
from oodbench.runs import runner

SOUND = [sample.Brightness(), sample.Drawn()]
COMPARED = [name for name in RECORD if name not in ("fit_seconds", "score_seconds")]


@pytest.fixture
def run(tiny: Path, store: Path, tmp_path: Path, one_cpu):
    """Return a function that runs the tiny benchmark with the shared store."""

    def run_tiny(detectors: list[Detector | str], **options) -> oodbench.Run:
        defaults = {
            "benchmark": str(tiny),
            "store": store,
            "out": tmp_path / "run",
            "data": tmp_path / "data",
            "engine": "inline",
            "device": "cpu",
            "force": True,
        }
        return oodbench.run(detectors=detectors, **{**defaults, **options})

    return run_tiny


def rows(run: oodbench.Run, *names: str) -> list[list]:
    """Return the records of detectors, times aside, as text, which is equal where NaN is."""
    own = run.records[run.records["detector"].isin(names)]
    return own[COMPARED].astype("str").to_numpy().tolist()


@pytest.mark.parametrize(
    ("culprit", "error"),
    [
        (
            sample.RaisesInFit(),
            "fit raises-in-fit: ZeroDivisionError: no luck [today] (sample_detectors.py:",
        ),
        (sample.ReturnsNothingFromFit(), "fit returns-nothing-from-fit: PluginError: Returns"),
        (sample.RaisesInScore(), "by raises-in-score: KeyError: 'missing' (sample_detectors.py:"),
        (sample.ReturnsNan(), "PluginError: score() returned 1 scores of "),
        (sample.ReturnsWrongShape(), "PluginError: score() returned shape (100, 1) for 100 images"),
        (sample.ReturnsIntegers(), "PluginError: score() returned torch.int64"),
        (sample.ReturnsList(), "PluginError: score() returned a list"),
        (sample.UsesUndeclared(), "PluginError: uses batch.logits but does not declare Need."),
        (sample.HidesParameter(), "PluginError: HidesParameter does not store its parameter"),
        (sample.RaisesInParts(), "LookupError: no parts"),
        (sample.Exits(), "SystemExit: bye"),
        (sample.Cancels(), "CancelledError: enough (sample_detectors.py:"),
        (sample.Panics(), "Panic: index out of bounds (sample_detectors.py:"),
        (sample.PretendsInterrupt(), "KeyboardInterrupt (sample_detectors.py:"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Detector) else "",
)
def test_a_detector_that_fails_loses_its_own_rows_alone(run, tmp_path, culprit, error) -> None:
    name = culprit.info.name
    mixed = run([SOUND[0], culprit, SOUND[1]])
    own = mixed.records[mixed.records["detector"] == name]
    assert own["ood_dataset"].tolist() == ["", "Uniform", "PhotoPatches-bw"]
    assert (own["status"] == "failed").all()
    assert own["error"].str.contains(error, regex=False).all()
    assert not own["error"].str.contains("\n").any()
    assert own["auroc"].isna().all()
    assert name not in set(mixed.scores()["detector"])
    alone = run(SOUND, out=tmp_path / "alone")
    assert rows(mixed, "brightness", "drawn") == rows(alone, "brightness", "drawn")
    assert set(alone.records["status"]) == {"ok"}


def test_failures_are_kept_with_their_traceback(run) -> None:
    info = run([sample.RaisesInFit(), sample.Brightness()]).info
    (failure,) = info["failures"].values()
    assert failure["job"] == "fit raises-in-fit"
    assert "ZeroDivisionError: no\nluck [today]" in failure["trace"]


def test_a_failure_is_not_kept_in_the_store(run) -> None:
    """What failed is tried again: the machine may have been at fault."""
    run([sample.RaisesInScore()])
    assert len(run([sample.RaisesInScore()]).info["failures"]) == 4


class NeverOnUniform(sample.Brightness):
    """Fails on noise, whose contrast and brightness no other set has together."""

    info = sample.info("never-on-uniform")

    def score(self, batch):
        if batch.inputs.std((1, 2, 3)).mean() > 0.27 and batch.inputs.mean() > 0.45:
            raise ValueError("too noisy")
        return super().score(batch)


def test_a_detector_that_fails_on_one_set_keeps_its_other_rows(run) -> None:
    records = run([NeverOnUniform()]).records.set_index("ood_dataset")
    assert records["status"].to_dict() == {"": "ok", "Uniform": "failed", "PhotoPatches-bw": "ok"}
    assert records.loc["Uniform", "error"].startswith("score Uniform by never-on-uniform: ValueErr")


class TellsUniformByItsBatch(sample.Brightness):
    """Scores batches of noise higher, or fails on them while ``$NOISE`` is set."""

    info = sample.info("tells-uniform-by-its-batch")

    def score(self, batch):
        is_noise = batch.inputs.std((1, 2, 3)).mean() > 0.27 and batch.inputs.mean() > 0.45
        if is_noise and "NOISE" in os.environ:
            raise ValueError("too noisy")
        return super().score(batch) + (1 if is_noise else 0)


def test_a_set_that_failed_is_probed_once_it_is_scored(run, monkeypatch) -> None:
    monkeypatch.setenv("NOISE", "1")
    records = run([TellsUniformByItsBatch()]).records.set_index("ood_dataset")
    assert records["status"].to_dict() == {"": "ok", "Uniform": "failed", "PhotoPatches-bw": "ok"}
    monkeypatch.delenv("NOISE")
    records = run([TellsUniformByItsBatch()]).records
    assert records["error"].str.contains("scores depend on the other images of the batch").all()


@pytest.mark.parametrize("culprit", [sample.RemembersFirstMean(), sample.StandardisesLazily()])
def test_a_detector_that_depends_on_the_batch_loses_its_rows(run, culprit) -> None:
    """A batch holds images of one set, so that it would tell sets apart by their batches."""
    name = culprit.info.name
    mixed = run([culprit, *SOUND])
    own = mixed.records[mixed.records["detector"] == name]
    assert (own["status"] == "failed").all()
    reason = f"score images of all sets again by {name}: PluginError: scores depend on the other im"
    assert own["error"].str.startswith(reason).all()
    assert own["auroc"].isna().all()
    assert set(mixed.scores()["detector"]) == {"brightness", "drawn"}
    assert mixed.info["costs"].keys() == {"brightness", "drawn"}
    assert set(mixed.records[mixed.records["detector"] != name]["status"]) == {"ok"}
    assert len(mixed.info["failures"]) == 1


def test_the_probe_counts_where_an_ood_set_is_left_out(run, tmp_path: Path) -> None:
    """What is left out is known only after detectors were probed with it."""
    for folder, level in (("one", 1), ("two", 9)):  # files that differ, of images that do not
        (tmp_path / folder).mkdir()
        for number in range(20):
            image = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / folder / f"{number}.png", compress_level=level)
    sets = ["uniform", str(tmp_path / "one"), str(tmp_path / "two")]
    finished = run([sample.RemembersFirstMean(), sample.Brightness()], ood=sets)
    assert finished.info["missing"] == {"two": "its images are those of one"}
    statuses = finished.records.groupby("detector")["status"].unique().str.join(" ")
    assert statuses.to_dict() == {"brightness": "ok", "remembers-first-mean": "failed"}
    assert set(finished.scores()["detector"]) == {"brightness"}
    assert len(finished.info["failures"]) == 1


class BadPart(sample.Generator):
    def fit(self, train, context):
        raise OSError("no disk")


class NeedsBadPart(sample.FirstOfTwo):
    info = sample.info("needs-bad-part")

    def parts(self):
        return {"generator": BadPart()}


def test_a_part_that_fails_is_to_blame_for_the_detectors_that_need_it(run) -> None:
    finished = run([NeedsBadPart(), sample.FirstOfTwo()], seeds=2)
    failed = finished.records[finished.records["status"] == "failed"]
    assert set(failed["detector"]) == {"needs-bad-part"}
    assert set(failed["seed"]) == {0, 1}
    assert (
        failed["error"]
        .str.startswith("fit generator of needs-bad-part (seed 0): OSError: no disk")
        .all()
    )
    assert len(finished.info["failures"]) == 1


def test_every_detector_may_fail(run, tmp_path: Path) -> None:
    finished = run([sample.RaisesInFit()])
    assert set(finished.records["status"]) == {"failed"}
    assert finished.scores().empty
    assert len(finished.predictions()) == 700
    assert "raises-in-fit" in (tmp_path / "run" / "table.md").read_text()


PLUGIN = """
import numpy as np
from oodbench.contracts import Classifier, Dataset, ImageSet, Info, Recipe, hookimpl

class Unreadable(Dataset):
    info = Info(name="unreadable", summary="Raises when it is read.")
    shape = (1, 8, 8)

    def load(self, root, split):
        raise RuntimeError("head crash")

class Diverging(Classifier):
    info = Info(name="diverging", summary="Raises when it is trained.")

    @property
    def recipe(self):
        return Recipe(epochs=1)

    def build(self, shape, num_classes):
        raise MemoryError("too wide")

@hookimpl
def oodbench_datasets():
    return [Unreadable]

@hookimpl
def oodbench_classifiers():
    return [Diverging]
"""


def test_an_ood_set_that_cannot_be_read_loses_its_own_rows_alone(install, run) -> None:
    install("odd_plugin", PLUGIN)
    finished = run([sample.Confidence()], ood=["unreadable", "uniform"])
    records = finished.records.set_index("ood_dataset")
    assert records["status"].to_dict() == {"": "ok", "unreadable": "failed", "Uniform": "ok"}
    reason = "prepare unreadable (test): RuntimeError: head crash (odd_plugin.py:10)"
    assert records.loc["unreadable", "error"] == reason
    assert rows(finished, "confidence")[2] == rows(run([sample.Confidence()]), "confidence")[1]


def test_a_classifier_that_cannot_be_trained_fails_what_needs_it(install, run) -> None:
    install("odd_plugin", PLUGIN)
    finished = run([sample.Confidence(), sample.Brightness()], classifier="diverging")
    assert set(finished.records["status"]) == {"failed"}  # no row without the classifier's accuracy
    assert finished.records["error"].str.contains("MemoryError: too wide").all()
    assert set(finished.scores()["detector"]) == {"brightness"}
    assert finished.predictions().empty


UNLUCKY = """
from torch import nn
from oodbench.contracts import Classifier, Info, Recipe, hookimpl

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Flatten(), nn.Linear(64, 10)

    def forward(self, images):
        return self.head(self.features(images))

class Unlucky(Classifier):
    info = Info(name="unlucky", summary="Diverges with seed 1.")
    recipe = Recipe(epochs=1)

    def build(self, shape, num_classes):
        return Network()

    def augment(self, images, generator):
        return images * float("nan") if generator.initial_seed() == 1 else images

@hookimpl
def oodbench_classifiers():
    return [Unlucky]
"""


def test_a_classifier_that_diverges_loses_the_rows_of_its_seed_alone(install, run) -> None:
    install("unlucky_plugin", UNLUCKY)
    records = run([sample.Confidence()], classifier="unlucky", classifier_seeds=2).records
    states = records.groupby("classifier_seed")["status"].unique()
    assert {seed: list(found) for seed, found in states.items()} == {0: ["ok"], 1: ["failed"]}
    failed = records[records["status"] == "failed"]["error"]
    assert failed.str.startswith("train unlucky (seed 1): PluginError: training diverged").all()


def test_a_plugin_that_cannot_be_imported_loses_its_own_rows_alone(install, run, tmp_path) -> None:
    install("lost_plugin", 'import not_installed\nname = "wanted"')
    mixed = run(["wanted", *SOUND], seeds=2)
    own = mixed.records[mixed.records["detector"] == "wanted"]
    assert own["ood_dataset"].tolist() == ["", "Uniform", "PhotoPatches-bw"]
    assert own["error"].str.contains("No module named 'not_installed'", regex=False).all()
    alone = run(SOUND, out=tmp_path / "alone", seeds=2)
    assert rows(mixed, "brightness", "drawn") == rows(alone, "brightness", "drawn")


class Writes(Detector):
    """Writes into what it is given."""

    info = sample.info("writes")
    needs = frozenset({Need.INPUTS, Need.LOGITS, Need.FEATURES})

    def fit(self, train, context):
        for batch in train:
            self._spoil(batch)
        return self

    def score(self, batch):
        return self._spoil(batch)

    def _spoil(self, batch):
        score = batch.inputs.mean((1, 2, 3))
        for values in (batch.inputs, batch.logits, batch.features, batch.labels):
            values.zero_()
        return score


def test_a_detector_that_writes_into_its_input_changes_no_others_rows(run, tmp_path) -> None:
    others = [sample.Confidence(), sample.Distance()]
    mixed = run([Writes(), *others], store=tmp_path / "store")
    alone = run(others, out=tmp_path / "alone")
    names = [detector.info.name for detector in others]
    assert rows(mixed, *names) == rows(alone, *names)


def test_a_detector_that_changes_the_process_changes_no_others_rows(run, tmp_path) -> None:
    others = [sample.Confidence(), sample.Drawn()]
    mixed = run([sample.ChangesProcess(), *others], store=tmp_path / "mixed-store", seeds=2)
    alone = run(others, out=tmp_path / "alone", store=tmp_path / "store", seeds=2)
    assert set(mixed.records["status"]) == {"ok"}
    assert rows(mixed, "confidence", "drawn") == rows(alone, "confidence", "drawn")


class Counts(sample.Brightness):
    """Scores by the number of calls so far."""

    info = sample.info("counts")

    def score(self, batch):
        self.calls = getattr(self, "calls", 0) + 1
        return super().score(batch) + self.calls


def test_what_a_detector_keeps_between_sets_does_not_reach_the_next(run) -> None:
    scores = run([Counts()], batch_size=200).scores()["score"]
    assert scores.between(1, 2).all()


def test_a_run_that_cannot_be_written_keeps_what_was_computed(run, tmp_path: Path) -> None:
    """A folder in the place of a file stands for a full disk, or a folder without permission."""
    store, blocked = tmp_path / "store", tmp_path / "run" / "scores.parquet"
    (blocked / "full").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        run(SOUND, store=store)
    start = f"cannot write the run to '{blocked}': Is a directory; results are kept"
    assert str(caught.value).startswith(start)
    assert not (tmp_path / "run" / "run.json").exists()
    assert "cannot write the run" in (tmp_path / "run" / "run.log").read_text()
    elsewhere = run(SOUND, store=store, out=tmp_path / "elsewhere")
    assert elsewhere.info["jobs_run"] == 0
    (blocked / "full").rmdir()
    blocked.rmdir()
    assert rows(run(SOUND, store=store), "drawn") == rows(elsewhere, "drawn")


def test_a_run_with_more_scores_than_can_be_read_is_refused(run, tmp_path, monkeypatch) -> None:
    scores = len(run(SOUND).scores())
    for module in (files, runner):
        monkeypatch.setattr(module, "ROWS", scores - 1)
    said = (
        rf"at least {scores:,} scores, more than the {scores - 1:,} that can be .*; compare fewer"
    )
    with pytest.raises(UserError, match=said):
        run(SOUND, out=tmp_path / "large", store=tmp_path / "empty")
    assert not (tmp_path / "large").exists()
    for module in (files, runner):
        monkeypatch.setattr(module, "ROWS", scores)
    assert len(run(SOUND, out=tmp_path / "large").scores()) == scores


def test_whatever_fails_at_the_end_keeps_what_was_computed(run, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise pyarrow.ArrowInvalid("no such type")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    said = r"the run's files cannot be made: ArrowInvalid: no such type .*results are kept"
    with pytest.raises(OodbenchError, match=said):
        run(SOUND)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_folder_whose_name_is_no_text_is_compared(run, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9"))
    folder.mkdir()
    for number in range(20):
        image = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")
    finished = run([sample.Brightness()], ood=["uniform", str(folder)])
    assert finished.records["ood_dataset"].tolist() == ["", "Uniform", "caf\\udce9"]
    assert set(finished.records["status"]) == {"ok"}
    assert "caf\\udce9" in set(finished.scores()["dataset"])
    assert "udce9" in (finished.directory / "table.md").read_text(encoding="utf-8")
