"""What detectors cost in use is what their scores and the classifier's predictions give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_runs import ID, make_run, predictions_of

from oodbench.leaderboard.boards import build_boards
from oodbench.leaderboard.build import read_leaderboard
from oodbench.leaderboard.finding import find_entries
from oodbench.leaderboard.inuse import CHOICES, DEFAULT, prices, risks_without
from oodbench.leaderboard.scores import judge
from oodbench.measures.use import Use
from oodbench.report.use import use_frame
from oodbench.results.files import read_info
from oodbench.results.run import read_prediction_table


def test_risks_are_those_of_the_table_of_uses(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", {"poor": 0.2, "good": 3.0}, classifier_seeds=(0, 1), seeds=(0, 1)
    )
    (board,) = build_boards(find_entries([tmp_path])[0])
    for place in (0, DEFAULT, len(CHOICES) - 1):
        frame = use_frame(run, CHOICES[place], samples=2).set_index("detector")
        for standing in board.standings:
            assert standing.risks is not None
            expected = frame.loc[standing.entry.detector, "risk"]
            assert standing.risks[place] == pytest.approx(expected, abs=1e-12)


def test_no_detector_costs_more_than_none(tmp_path: Path) -> None:
    make_run(tmp_path / "run", {"bad": -2.0, "good": 3.0})
    (board,) = build_boards(find_entries([tmp_path])[0])
    without = risks_without(board.id_accuracy.mean)
    for standing in board.standings:
        assert standing.risks is not None
        assert (standing.risks <= without + 1e-12).all()


def test_without_a_detector_all_inputs_are_accepted_or_rejected() -> None:
    risks = dict(zip(CHOICES, risks_without(0.9), strict=True))
    # a tenth of the inputs is OOD, and of the others a tenth is misclassified
    assert risks[Use(0.1, 1.0, 1.0)] == pytest.approx(0.1 + 0.9 * 0.1)
    assert risks[Use(0.1, 10.0, 10.0)] == pytest.approx(0.9 * 0.9)
    assert prices(risks_without(0.9))[DEFAULT] == "81.00"


def test_without_labels_no_cost_is_shown(tmp_path: Path) -> None:
    unlabelled = predictions_of((0,)).assign(label=-1)
    run = make_run(tmp_path / "runs", {"energy": 1.0}, predictions=unlabelled)
    (board,) = build_boards(find_entries([tmp_path])[0])
    assert board.standings[0].risks is None
    read_leaderboard([tmp_path / "runs"]).write(tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "data-prices" not in page
    assert judge(read_prediction_table(run.directory, read_info(run.directory)), ID) == {}


def test_predictions_are_found_by_the_positions_of_the_images(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    shuffled = run.predictions().sample(frac=1, random_state=0)
    other = make_run(tmp_path / "other", predictions=shuffled)
    one, two = (
        build_boards(find_entries([each.directory])[0])[0].standings[0].risks
        for each in (run, other)
    )
    assert np.array_equal(one, two)
