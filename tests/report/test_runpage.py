"""The page of a run: complete, the same bytes each time, and harmless."""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_runs import COUNTS, SETS, make_run, predictions_of
from scipy.integrate import trapezoid
from sklearn.metrics import roc_auc_score

from oodbench.cli import main
from oodbench.report.pictures import new_figure
from oodbench.report.plots import _pr, _roc, _scale_costs, draw_plots
from oodbench.report.runpage import run_page
from oodbench.report.samples import read_shown

SCRIPT = "<script>alert(1)</script>"


def test_a_page_has_tables_plots_and_provenance(tmp_path: Path) -> None:
    text = run_page(make_run(tmp_path, {"energy": 1.0, "msp": 2.0}, seeds=(0, 1)))
    # Heat map, ROC, precision-recall; two histograms; cost, costs in use; classes of the ID set.
    assert text.count("<img ") == 3 + 2 + 2 + 1
    assert "Glyphs" in text
    assert "2.9.0" in text  # the version of torch
    assert "Mean (sample standard deviation) over runs" in text


def test_a_page_begins_with_the_plots_that_say_most(tmp_path: Path) -> None:
    text = run_page(make_run(tmp_path, {"energy": 1.0, "msp": 2.0}))
    assert text.index("<img ") < text.index("<table")
    assert text.index("AUROC against cost") < text.index("<table") < text.index("ROC curves")


def test_no_heading_of_a_row_or_column_is_empty(tmp_path: Path) -> None:
    text = run_page(make_run(tmp_path, {"energy": 1.0, "msp": 2.0}))
    assert not re.search(r"<th[^>]*></th>", text)


def test_curves_are_those_of_the_ten_best_detectors(tmp_path: Path) -> None:
    run = make_run(tmp_path, {f"d{number:02}": 0.2 * number for number in range(12)})
    first, _ = draw_plots(run.records, read_shown(run)).curves
    assert "The 10 detectors with the largest mean AUROC." in first.description


def test_a_page_says_what_it_cannot_show(tmp_path: Path) -> None:
    text = run_page(make_run(tmp_path, {"energy": 1.0, "msp": 2.0}))
    assert text.count("No images of Digits, Glyphs, Uniform are shown") == 1
    assert "Sets without classes are not shown: Glyphs, Uniform." in text
    assert "needs at least three detectors" in text


def test_what_is_not_shown_is_said_where_it_is_missed(tmp_path: Path) -> None:
    def black(positions: np.ndarray) -> np.ndarray:
        return np.zeros((len(positions), 1, 8, 8), np.uint8)

    text = run_page(make_run(tmp_path), {"Glyphs": black})
    places = ["needs at least three", "<h2>Curves", "<h2>Classes", "Sets without classes"]
    places += ["<h2>Images that", "No images of Digits, Uniform are shown", "<h2>What made it"]
    assert sorted(places, key=text.index) == places


def test_without_times_there_is_no_plot_of_costs(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"msp": 1.0})
    untimed = run.records.assign(fit_seconds=np.nan, score_seconds=np.nan)
    plots = draw_plots(untimed, read_shown(run))
    assert [plot.title for plot in plots.overview] == ["AUROC of each detector on each set"]
    assert "AUROC against cost is not shown: the run has no times." in plots.missing


def test_a_heat_map_of_many_classes_spans_the_page(tmp_path: Path) -> None:
    predictions = predictions_of((0,))
    predictions.loc[predictions["dataset"] == SETS[0], "label"] = np.arange(COUNTS[SETS[0]]) % 20
    text = run_page(make_run(tmp_path, {"msp": 1.0}, predictions=predictions))
    (wide,) = re.findall(r'<figure class="wide">.*?</figure>', text, re.DOTALL)
    assert "Classes of Glyphs that are accepted" in wide


@pytest.mark.parametrize("highest", [0.021, 0.1, 0.35, 1.9, 2.1, 30, 5e5])
def test_labels_of_costs_stay_apart(highest: float) -> None:
    figure, (axes,) = new_figure(1, 1, 6, 4.5)
    _scale_costs(axes, np.array([0.02, highest]))
    figure.draw_without_rendering()
    labels = axes.get_xticklabels() + axes.get_xticklabels(minor=True)
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    inside = sorted(box.extents[[0, 2]].tolist() for box in boxes)
    assert len(inside) >= 3
    assert all(left[1] + 5 < right[0] for left, right in pairwise(inside))


def test_a_page_shows_images_that_are_at_hand(tmp_path: Path) -> None:
    def black(positions: np.ndarray) -> np.ndarray:
        return np.zeros((len(positions), 1, 8, 8), np.uint8)

    text = run_page(make_run(tmp_path, {"energy": 1.0}), {"Glyphs": black})
    assert text.count("data:image/png;base64,") == 1
    assert "Glyphs: OOD images that are accepted as Digits" in text
    assert "No images of Digits, Uniform are shown" in text


def test_three_detectors_have_a_diagram_of_ranks(tmp_path: Path) -> None:
    pytest.importorskip("scikit_posthocs")
    text = run_page(make_run(tmp_path, {"energy": 1.0, "msp": 2.0, "knn": 0.5}))
    assert "Mean ranks over the OOD sets" in text


def test_captions_hold_caveats_and_no_listings(tmp_path: Path) -> None:
    pytest.importorskip("scikit_posthocs")
    detectors = {f"detector-{number:02}": number / 30 for number in range(30)}
    text = run_page(make_run(tmp_path, detectors))
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert any("is within chance (" in caption for caption in captions)
    assert any("Friedman" in caption and "Nemenyi" in caption for caption in captions)
    assert sum("detector-07" in caption for caption in captions) == 1  # its histogram
    assert re.search('alt="Mean ranks over the OOD sets[^"]* detector-07 ', text)


@pytest.mark.parametrize("name", ["a-name-of-64-letters-" + 43 * "m", "数据集"])
def test_any_name_can_be_drawn(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.setitem(COUNTS, name, 50)
    detectors = {name: 1.0, 64 * "m": 0.4, "msp": 0.8}
    assert name in run_page(make_run(tmp_path, detectors, sets=(name, "Uniform")))


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    first, second = (run_page(make_run(tmp_path / name, {"msp": 1.0})) for name in "ab")
    assert first == second


def test_a_page_asks_nobody_and_runs_nothing(tmp_path: Path) -> None:
    text = run_page(make_run(tmp_path, {SCRIPT: 1.0, "$x_{": 1.0}, deviations={SCRIPT: SCRIPT}))
    assert "<script" not in text
    assert not re.search(r"(src|href)=(?!\"data:)", text)
    for data in re.findall(r"base64,([^\"]+)", text):
        assert b"<script" not in base64.b64decode(data)


def test_a_detector_that_failed_on_a_set_is_no_obstacle(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"energy": 1.0, "msp": 1.0})
    scores, records = run.scores(), run.records
    lost = (records["detector"] == "msp") & (records["ood_dataset"] == SETS[1])
    records.loc[lost, ["status", "error"]] = ["failed", "ValueError: NaN"]
    records.loc[lost, "auroc"] = np.nan
    kept = (scores["detector"] != "msp") | (scores["dataset"] != SETS[1])
    names = {"dataset": "str", "detector": "str"}
    broken = make_run(
        tmp_path,
        {"energy": 1.0, "msp": 1.0},
        scores=scores[kept].astype(names),
        records=records,
    )
    plots = draw_plots(broken.records, read_shown(broken))
    parts = (plots.overview, plots.curves, plots.scores, plots.classes)
    assert [len(each) for each in parts] == [2, 2, 2, 1]
    assert "ValueError: NaN" in run_page(broken)


@pytest.mark.parametrize("decimals", [0, 8])
def test_the_area_under_a_drawn_curve_is_the_auroc(decimals: int) -> None:
    random = np.random.default_rng(decimals)
    known = random.normal(0, 1, 3000).round(decimals)
    unknown = random.normal(1, 1, 3000).round(decimals)
    across, up = _roc(known, unknown)
    assert len(across) < 1000
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
    labels = np.repeat([0, 1], 3000)
    expected = roc_auc_score(labels, np.concatenate([known, unknown]))
    assert trapezoid(up, across) == pytest.approx(expected, abs=0.003)


def test_precision_at_full_recall_is_the_share_of_ood_images() -> None:
    recall, precision = _pr(np.zeros(30), np.full(10, -1.0))
    assert (recall[0], precision[0]) == (1, 0.25)


def test_the_command_writes_the_page(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "run", {"msp": 1.0})
    assert main(["report", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run' / 'report.html'}\n"
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "no" / "x.html")]) == 2
    assert "cannot write" in capsys.readouterr().err
