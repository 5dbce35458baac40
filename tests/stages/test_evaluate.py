"""A row is evaluated on the scores and the classifier's predictions of its images."""

from __future__ import annotations

import json

import pytest
from sample_detectors import Confidence
from stagework import Bench, TwoClasses, array

from oodbench.measures.evaluation import evaluate_id, evaluate_ood


@pytest.fixture
def given(bench: Bench, train, test, trained):
    """Return the inputs of an evaluation on an OOD set."""

    def score(images, part="all"):
        extracted = bench.extract(images, trained, part)
        return bench.score(Confidence(), part, images=images, extract=extracted)

    return {
        "id": score(test),
        "calibration": score(train, "calibration"),
        "ood": score(bench.prepare(TwoClasses(offset=30))),
        "id_extract": bench.extract(test, trained),
    }


def arrays(given, *roles: str) -> dict:
    correct = array(given["id_extract"], "logits").argmax(1) == array(given["id_extract"], "labels")
    return {
        "correct": correct,
        **{f"{role}_scores": array(given[role], "scores") for role in roles},
    }


def test_an_ood_row_has_every_measure_and_the_times_of_its_scores(bench: Bench, given) -> None:
    made = bench.run("evaluate", {}, **given)
    seconds = {name: given["ood"].meta[name] for name in ("fit_seconds", "score_seconds")}
    expected = evaluate_ood(**arrays(given, "id", "calibration", "ood")) | seconds
    assert json.loads((made / "measures.json").read_text()) == expected


def test_the_id_row_has_the_shares_that_are_accepted(bench: Bench, given) -> None:
    del given["ood"]
    made = bench.run("evaluate", {}, **given)
    seconds = {name: given["id"].meta[name] for name in ("fit_seconds", "score_seconds")}
    expected = evaluate_id(**arrays(given, "id", "calibration")) | seconds
    assert json.loads((made / "measures.json").read_text()) == expected
