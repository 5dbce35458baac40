"""A benchmark whose detectors protect no classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sample_detectors import Brightness, Confidence

import oodbench
from oodbench.cli import main
from oodbench.contracts import FigureUnavailable
from oodbench.errors import UserError
from oodbench.plot.view import StoredRun
from oodbench.registry.lookup import load_registry
from oodbench.report.recomputed import recompute_run
from oodbench.request.definitions import find_benchmark
from oodbench.request.options import Options
from oodbench.results.run import Run, read_run
from oodbench.store.artifacts import Store
from oodbench.submission.definition import define
from oodbench.submission.verify import verify

ONE_CLASS = """
name = "one-class"
id = "digits[3]"
ood = ["digits[!3]"]
classifier = "none"
validation_images = 20
calibration_images = 50
"""


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one-class") / "one-class.toml"
    path.write_text(ONE_CLASS)
    return path


def compare(folder: Path, definition: Path, **options: Any) -> Run:
    where = {"store": folder / "store", "out": folder / "run", "data": folder}
    return oodbench.run(benchmark=definition, engine="inline", device="cpu", **where, **options)


@pytest.fixture(scope="module")
def one_class(definition: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run with detectors that judge images alone, and two that do not."""
    detectors = [Brightness(), "autoencoder", "isolation-forest", Confidence(), "ganad-joint"]
    few = {"autoencoder": {"steps": 5}, "ganad-joint": {"recipe": "tiny"}}
    folder = tmp_path_factory.mktemp("run")
    return compare(folder, definition, detectors=detectors, parameters=few)


def test_detectors_of_images_are_compared_and_no_image_passes(one_class: Run) -> None:
    records = one_class.records
    assert list(records["detector"].unique()) == ["brightness", "autoencoder", "isolation-forest"]
    assert set(records["status"]) == {"ok"}
    assert set(records["classifier"]) == {"none"}
    assert records.loc[records["ood_dataset"] != "", "auroc"].notna().all()
    assert records[["id_accuracy", "oscr", "aurc"]].isna().all(axis=None)
    assert one_class.predictions().empty
    assert one_class.info["images_forwarded"] == one_class.info["distinct_images"] == 0


def test_detectors_that_need_a_classifier_are_named_and_did_not_fail(one_class: Run) -> None:
    unsuited = one_class.info["unsuited"]
    assert list(unsuited) == ["confidence", "ganad-joint"]
    assert unsuited["ganad-joint"] == "needs logits of a classifier, and there is none"
    assert one_class.info["failures"] == {}
    table = (one_class.directory / "table.md").read_text()
    assert "not applicable, since there is no classifier: confidence, ganad-joint" in table
    assert "Digits, class 3, no classifier" in table
    assert "On pixels, since there is no classifier." in table


def test_its_run_verifies_and_can_be_recomputed(one_class: Run, definition: Path) -> None:
    registry = load_registry()
    data = one_class.directory.parent
    benchmark = find_benchmark(Options(benchmark=str(definition), data=data), registry)
    verdict = verify(one_class, define(benchmark, registry, data))
    assert (verdict.misfits, verdict.unchecked) == ((), ())
    before = one_class.records
    assert recompute_run(one_class.directory).records.equals(before)
    assert read_run(one_class.directory).records.equals(before)


def test_it_has_no_features_to_export(one_class: Run, tmp_path: Path, capsys: Any) -> None:
    arrays = tmp_path / "arrays"
    assert main(["export", str(one_class.directory), "--arrays", str(arrays)]) == 2
    assert "the run has no classifier" in capsys.readouterr().err
    assert not arrays.exists()


def test_figures_of_its_classifier_are_unavailable(one_class: Run) -> None:
    view = StoredRun(one_class, Store(one_class.directory.parent / "store"), load_registry())
    assert (view.shape, view.num_classes) == ((1, 8, 8), 1)
    with pytest.raises(FigureUnavailable, match="the run has no classifier"):
        view.outputs("Digits, class 3")


def test_detectors_that_all_need_a_classifier_are_refused(definition: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no detector can run without a classifier: msp needs log"):
        compare(tmp_path, definition, detectors=["msp", "energy"])


def test_several_classifiers_of_none_are_refused(definition: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no classifier: leave out --classifier-seeds"):
        compare(tmp_path, definition, detectors=[Brightness()], classifier_seeds=2)


def test_sets_that_a_classifier_generates_are_left_out(definition: Path, tmp_path: Path) -> None:
    ood = ["digits[!3]", "ganad-fakes"]
    run = compare(tmp_path, definition, detectors=[Brightness()], ood=ood)
    assert run.info["missing"] == {
        "ganad-fakes": "data set 'ganad-fakes' needs passes of a classifier, and there is none"
    }
