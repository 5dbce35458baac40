"""Check the map of costs in use against the table's risks, and what it says of chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_runs import make_run, predictions_of

from oodbench.errors import FigureUnavailable
from oodbench.measures.use import Use
from oodbench.report.runpage import run_page
from oodbench.report.samples import read_shown
from oodbench.report.use import EVERYTHING, NOTHING, use_frame
from oodbench.report.usemap import COSTS, SHARES, draw_use_map, make_map

DETECTORS = {"energy": 1.5, "msp": 0.5, "knn": 3.0}


def test_each_place_has_the_cheapest_choice(tmp_path: Path) -> None:
    run = make_run(tmp_path, DETECTORS)
    found = make_map(read_shown(run))
    for row, column in ((0, 0), (5, 3), (10, 10), (19, 19), (8, 15)):
        cost = float(COSTS[row])
        use = Use(float(SHARES[column]), cost, cost)
        frame = use_frame(run, use, samples=2).set_index("detector")["risk"]
        without = {
            NOTHING: use.share * cost + (1 - use.share) * cost * 0.1,
            EVERYTHING: (1 - use.share) * 0.9,
        }
        name = found.names[found.best[row, column]]
        least = min(frame.min(), *without.values())
        assert (without | frame.to_dict())[name] == pytest.approx(least)
        if name in frame:
            assert frame[name] < min(without.values())


def test_shares_of_the_map_sum_to_all_of_it(tmp_path: Path) -> None:
    areas = make_map(read_shown(make_run(tmp_path, DETECTORS))).areas()
    assert sum(areas.values()) == pytest.approx(1)
    assert list(areas.values()) == sorted(areas.values(), reverse=True)


def test_equal_detectors_support_no_difference(tmp_path: Path) -> None:
    scores = make_run(tmp_path / "one", {"energy": 1.5}).scores()
    twins = pd.concat([scores, scores.assign(detector="knn")]).astype({"detector": "category"})
    run = make_run(tmp_path / "two", {"energy": 1.5, "knn": 1.5}, scores=twins)
    assert not make_map(read_shown(run)).supported.any()


def test_a_detector_that_is_far_better_is_supported_where_ood_inputs_matter(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"energy": 6.0, "msp": 0.0})
    found = make_map(read_shown(run))
    common = found.best[:, -1] == list(found.names).index("energy")
    assert common[5:].all()
    assert found.supported[8:, -1].mean() > 0.7


def test_the_description_names_choices_and_what_is_within_chance(tmp_path: Path) -> None:
    plot = draw_use_map(read_shown(make_run(tmp_path, DETECTORS)))
    assert plot.title == "Which detector costs least in use"
    assert "knn" in plot.description
    assert "its lead is within chance (" in plot.description
    assert b"<svg" in plot.svg


def test_without_labels_or_rivals_a_page_says_why_there_is_no_map(tmp_path: Path) -> None:
    unlabelled = predictions_of((0,)).assign(label=-1)
    run = make_run(tmp_path / "unlabelled", DETECTORS, predictions=unlabelled)
    reason = "needs the class and the prediction of each ID image"
    with pytest.raises(FigureUnavailable, match=reason):
        make_map(read_shown(run))
    assert reason in run_page(run)
    alone = make_run(tmp_path / "alone", {"energy": 1.0})
    with pytest.raises(FigureUnavailable, match="needs two detectors"):
        make_map(read_shown(alone))


def test_a_detector_that_lacks_a_set_is_left_out(tmp_path: Path) -> None:
    shown = read_shown(make_run(tmp_path, DETECTORS))
    judged = {key: value for key, value in shown.judged.items() if key != ("knn", "Uniform")}
    names = make_map(replace(shown, judged=judged)).names
    assert "knn" not in names
    assert {"energy", "msp"} <= set(names)


def test_the_page_shows_the_map(tmp_path: Path) -> None:
    assert "Which detector costs least in use" in run_page(make_run(tmp_path, DETECTORS))
