"""A run that is what it says it is fits; every way of cheating is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import CALIBRATION, COUNTS, ID, SETS, VALIDATION, make_run, predictions_of, scores_of

from oodbench.contracts import Benchmark
from oodbench.measures.evaluation import recompute
from oodbench.results.run import Run
from oodbench.submission.definition import Definition, ExpectedSet
from oodbench.submission.verify import verify


def expected(title: str, fingerprint: str) -> ExpectedSet:
    index = np.arange(COUNTS[title])
    return ExpectedSet(fingerprint, index, index % 5 if title == ID else np.full(len(index), -1))


@pytest.fixture
def definition() -> Definition:
    """The benchmark of the runs of `made_runs`, with its images available."""
    return Definition(
        benchmark=Benchmark(
            name="made",
            id="digits",
            ood=tuple(title.lower() for title in SETS),
            classifier="net",
            images_per_set=60,
            calibration_images=CALIBRATION,
            validation_images=VALIDATION,
        ),
        id_title=ID,
        ood_titles=SETS,
        groups={"near": ["Glyphs"]},
        classifier={"net": {"width": 4}},
        train=ExpectedSet("a" * 64, np.arange(CALIBRATION)),
        sets={
            ID: expected(ID, "b" * 64),
            **{title: expected(title, f"{number}" * 64) for number, title in enumerate(SETS)},
        },
        absent={},
    )


def misfits(run: Run, definition: Definition) -> str:
    return "\n".join(verify(run, definition).misfits)


def test_an_honest_run_fits(tmp_path: Path, definition: Definition) -> None:
    verdict = verify(make_run(tmp_path, seeds=(0, 1)), definition)
    assert verdict.misfits == ()
    assert verdict.unchecked == ()
    # Two detectors, two seeds: 14 measures on each OOD set and 5 on the ID set.
    assert verdict.figures == 4 * (2 * 14 + 5)


def test_a_changed_score_is_found(tmp_path: Path, definition: Definition) -> None:
    honest = make_run(tmp_path / "honest")
    scores = honest.scores()
    changed = scores.index[(scores["dataset"] == "Uniform") & (scores["detector"] == "msp")][0]
    scores.loc[changed, "score"] = -100.0
    run = make_run(tmp_path / "cheat", scores=scores, records=honest.records)
    found = misfits(run, definition)
    assert "auroc of msp on Uniform" in found
    assert "energy" not in found


def test_a_changed_record_is_found(tmp_path: Path, definition: Definition) -> None:
    records = make_run(tmp_path).records
    records.loc[1, "fpr95"] -= 0.05
    found = misfits(make_run(tmp_path, records=records), definition)
    assert found.startswith("fpr95 of energy on Glyphs")
    assert found.count("\n") == 0


def test_other_images_are_found(tmp_path: Path, definition: Definition) -> None:
    fingerprints = {"train": "a" * 64, "test": "b" * 64, "ood": {"Glyphs": "0" * 64}}
    fingerprints["ood"]["Uniform"] = "f" * 64
    run = make_run(tmp_path, request={"fingerprints": fingerprints})
    assert misfits(run, definition) == (
        "the images of Uniform are not those of the benchmark (another fingerprint)"
    )


def test_fewer_images_are_found(tmp_path: Path, definition: Definition) -> None:
    scores = pd.concat([scores_of("energy", 1.0)], ignore_index=True)
    easy = scores[(scores["dataset"] != "Uniform") | (scores["index"] < 20)]
    run = make_run(tmp_path, {"energy": 1.0}, scores=easy)
    assert misfits(run, definition) == "Uniform: 20 images instead of 40"


def test_a_choice_of_images_is_found(tmp_path: Path, definition: Definition) -> None:
    larger = replace(expected("Uniform", "1" * 64), indices=np.arange(1, 41))
    sets = {**definition.sets, "Uniform": larger}
    found = misfits(make_run(tmp_path), replace(definition, sets=sets))
    assert "Uniform: other images than the benchmark draws" in found


def test_swapped_id_and_ood_sets_are_found(tmp_path: Path, definition: Definition) -> None:
    names = {ID: "Glyphs", "Glyphs": ID}
    scores = scores_of("energy", 1.0).replace({"dataset": names})
    run = make_run(tmp_path, {"energy": 1.0}, scores=scores, records=swapped_records(scores, names))
    found = misfits(run, definition)
    assert f"the ID set of the records is Glyphs, not {ID}" in found
    assert "thresholds were taken from images of Glyphs" in found
    assert f"{ID}: 50 images instead of 60" in found


def swapped_records(scores: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return records that follow from the swapped scores."""
    return recompute(scores, predictions_of([0]).replace({"dataset": names}))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"calibration_images": 29}, "calibration_images: the run has 29, benchmark 'made' 30"),
        ({"validation_images": 19}, "validation_images: the run has 19, benchmark 'made' 20"),
        ({"selection_seed": 4}, "selection_seed: the run has 4"),
        ({"classifier": {"net": {"width": 64}}}, "classifier: the run has {'net': {'width': 64}}"),
        ({"id": "mnist"}, "id: the run has mnist"),
        ({"ood": ["uniform"]}, "ood: the run has ['uniform']"),
        ({"groups": {"near": ["Uniform"]}}, "groups: the run has {'near': ['Uniform']}"),
    ],
)
def test_another_protocol_is_found(tmp_path: Path, definition, request_, message: str) -> None:
    assert message in misfits(make_run(tmp_path, request=request_), definition)


def test_a_set_that_was_left_out_is_found(tmp_path: Path, definition: Definition) -> None:
    run = make_run(tmp_path, sets=("Glyphs",))
    found = misfits(run, definition)
    assert "the OOD set Uniform was left out" in found
    assert "the images of Uniform" not in found


def test_thresholds_from_other_training_images_are_found(tmp_path: Path, definition) -> None:
    drawn = replace(definition, train=ExpectedSet("a" * 64, np.arange(1, CALIBRATION + 1)))
    found = misfits(make_run(tmp_path), drawn)
    assert f"thresholds were taken from {CALIBRATION} training images, which are not" in found


def test_thresholds_from_few_training_images_are_found(tmp_path: Path, definition) -> None:
    scores = make_run(tmp_path).scores()
    few = scores[(scores["split"] == "test") | (scores["index"] < 10)]
    found = misfits(make_run(tmp_path, scores=few.astype({"split": "str"})), definition)
    assert f"from 10 training images, which are not the {CALIBRATION}" in found


def test_records_without_scores_are_found(tmp_path: Path, definition: Definition) -> None:
    honest = make_run(tmp_path)
    scores = honest.scores()
    own = scores[scores["detector"] == "energy"].astype({"detector": "str"})
    run = make_run(tmp_path, scores=own, records=honest.records)
    assert "there are no scores of msp on Glyphs" in misfits(run, definition)


def test_scores_without_records_are_found(tmp_path: Path, definition: Definition) -> None:
    records = make_run(tmp_path).records
    run = make_run(tmp_path, records=records[records["detector"] == "msp"])
    assert "there are scores, but no record, of energy on Uniform" in misfits(run, definition)


def test_other_labels_are_found(tmp_path: Path, definition: Definition) -> None:
    wrong = replace(definition.sets[ID], labels=np.zeros(60, np.int64))
    found = misfits(make_run(tmp_path), replace(definition, sets={**definition.sets, ID: wrong}))
    assert f"{ID}: the labels are not those of its images" in found


def test_images_that_are_not_here_are_said_to_be_unchecked(tmp_path: Path, definition) -> None:
    sets = {title: definition.sets[title] for title in (ID, "Glyphs")}
    partial = replace(definition, sets=sets, absent={"Uniform": "not in the folder"}, train=None)
    verdict = verify(make_run(tmp_path), partial)
    assert verdict.misfits == ()
    assert verdict.unchecked == (
        "the images of Uniform: not in the folder",
        "the training images of Digits, which are not here",
    )
