"""The general figures show the scores as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import COUNTS, make_run
from matplotlib.text import Text
from sklearn.metrics import auc

from oodbench.contracts import plain_label
from oodbench.errors import FigureUnavailable
from oodbench.plot.style import house_style
from oodbench.plot.view import StoredRun
from oodbench.registry.lookup import load_registry
from oodbench.report.ranking import compare_ranks
from oodbench.results.run import read_run
from oodbench.store.artifacts import Store
from oodbench_figures.confidence import ConfidenceAgainstScore
from oodbench_figures.panels import POINTS, make_panels, some
from oodbench_figures.ranks import RankDiagram
from oodbench_figures.scores import ScoreCurves

RANKED = {"good": 0.9, "fair": 0.8, "poor": 0.7}


@pytest.fixture
def view(drawable: Path, store: Path) -> StoredRun:
    return StoredRun(read_run(drawable), Store(store), load_registry())


def test_the_area_under_a_drawn_curve_is_the_auroc_of_the_records(view: StoredRun) -> None:
    curves, _ = ScoreCurves().draw(view)["ganad"].axes
    drawn = [auc(*line.get_data()) for line in curves.lines]
    records = view.records[view.records["detector"] == "ganad"]
    expected = [
        auroc
        for dataset in view.ood_datasets
        for auroc in records[records["ood_dataset"] == dataset]["auroc"]
    ]
    np.testing.assert_allclose(drawn, expected)


def test_a_set_has_one_entry_in_the_legend_with_its_mean_auroc(view: StoredRun) -> None:
    (legend,) = ScoreCurves().draw(view)["ganad"].legends  # of the picture: beside the curves
    texts = [text.get_text() for text in legend.get_texts()]
    records = view.records[view.records["detector"] == "ganad"]
    means = records.groupby("ood_dataset")["auroc"].mean()
    assert texts == [f"{name} {100 * means[name]:.2f}" for name in view.ood_datasets]


def test_every_set_has_a_row_and_the_threshold_a_line(view: StoredRun) -> None:
    _, ridges = ScoreCurves().draw(view)["energy"].axes
    labels = [label.get_text() for label in ridges.get_yticklabels()]
    assert labels == ["Digits", "Uniform", "PhotoPatches-bw"]
    assert ridges.lines[0].get_xdata()[0] == view.threshold("energy")


def test_confidence_is_drawn_over_the_score_of_the_same_image(view: StoredRun) -> None:
    panels = ConfidenceAgainstScore().draw(view)["energy"].axes
    assert [panel.get_title() for panel in panels[:3]] == ["Digits", "Uniform", "PhotoPatches-bw"]
    points = panels[1].collections[1].get_offsets().data
    chosen = some(200)
    low, high = panels[1].get_xlim()
    expected = np.clip(view.scores("energy", "Uniform")[0][chosen], low, high)
    np.testing.assert_allclose(points[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(points[:, 1], view.outputs("Uniform").confidence[chosen])


def test_the_threshold_is_said_to_be_that_of_calibration_images(view: StoredRun) -> None:
    picture = ConfidenceAgainstScore().draw(view)["energy"]
    text = picture.get_supxlabel().replace("\n", " ")
    assert "dashed: threshold that keeps 95 % of the calibration images" in text
    assert "which are ID training images and not those plotted" in text


def test_at_most_a_thousand_images_are_shown_and_always_the_same() -> None:
    assert len(some(5000)) == POINTS
    np.testing.assert_array_equal(some(5000), some(5000))
    assert sorted(some(7)) == list(range(7))


def test_an_odd_number_of_panels_leaves_none_empty() -> None:
    picture, panels = make_panels(3, height=1.0, shared=True)
    assert len(panels) == 3
    assert [axes.axison for axes in picture.axes] == [True, True, True, False]


def test_figures_are_found_without_importing_matplotlib() -> None:
    code = (
        "import sys; from oodbench.registry.lookup import load_registry as load; "
        "print(*load().figures); "
        "print({'torch', 'matplotlib', 'pandas', 'sklearn', 'umap'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, heavy = done.stdout.splitlines()
    assert {"scores", "confidence", "features", "growing-seeds"} <= set(names.split())
    assert heavy == "set()"


def test_ranks_need_three_detectors(view: StoredRun) -> None:
    with pytest.raises(FigureUnavailable, match="needs at least three detectors"):
        RankDiagram().draw(view)


def test_ranks_name_every_detector(view: StoredRun) -> None:
    pytest.importorskip("scikit_posthocs")
    records = view.records[view.records["detector"] == "energy"]
    others = [records.assign(detector=name, auroc=auroc) for name, auroc in RANKED.items()]
    view.records = pd.concat(others)
    (axes,) = RankDiagram().draw(view)[""].axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:3] == ["good 1.00", "fair 2.00", "3.00 poor"]


def test_long_names_leave_room_for_ranks() -> None:
    pytest.importorskip("scikit_posthocs")
    names = [64 * letter for letter in "mwo"]
    ranks = compare_ranks(names, np.arange(6.0).reshape(3, 2))
    view: Any = SimpleNamespace(mean_ranks=lambda: ranks)
    with house_style():
        picture = RankDiagram().draw(view)[""]
        picture.draw_without_rendering()
    (axes,) = picture.axes
    assert axes.get_position().width > 0.2


def test_long_names_are_shortened(tmp_path: Path, store: Path, monkeypatch) -> None:
    name = 64 * "m"
    monkeypatch.setitem(COUNTS, name, 50)
    run = make_run(tmp_path, {name: 1.0}, sets=(name, "Uniform"))
    with house_style():
        picture = ScoreCurves().draw(StoredRun(run, Store(store), load_registry()))[name]
        picture.draw_without_rendering()
    texts = [text.get_text() for text in picture.findobj(Text)]
    assert any(plain_label(name) in text for text in texts)
    assert not any(name in text for text in texts)
