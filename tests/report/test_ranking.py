"""The diagram of critical differences, and what there must be for one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from made_runs import make_run
from matplotlib.figure import Figure
from scipy.stats import friedmanchisquare

from oodbench.errors import FigureUnavailable
from oodbench.report.ranking import compare_ranks, draw_mean_ranks, mean_ranks

NAMES = [f"d{number}" for number in range(6)]


def values(seed: int = 0) -> np.ndarray:
    """Return six detectors on twelve sets; the later ones are better."""
    return np.random.default_rng(seed).normal(np.arange(6)[:, None] / 2, 1, (6, 12))


@pytest.mark.parametrize("seed", range(3))
def test_pairs_differ_as_nemenyis_test_of_a_second_library_says(seed: int) -> None:
    posthocs = pytest.importorskip("scikit_posthocs")
    found = compare_ranks(NAMES, values(seed))
    apart = np.abs(found.ranks[:, None] - found.ranks) > found.difference
    p_values = posthocs.posthoc_nemenyi_friedman(values(seed).T).to_numpy()
    np.testing.assert_array_equal(apart, p_values < 0.05)
    assert apart.any()
    assert found.p_value == pytest.approx(friedmanchisquare(*values(seed)).pvalue)


def test_bars_join_detectors_that_do_not_differ() -> None:
    pytest.importorskip("scikit_posthocs")
    found = compare_ranks(NAMES, values())
    axes = Figure().subplots()
    found.draw_on(axes)
    bars = [
        line.get_xdata()
        for line in axes.lines
        if len(set(line.get_ydata())) == 1 and line.get_ydata()[0] < 0
    ]
    assert bars
    assert all(max(bar) - min(bar) <= found.difference for bar in bars)
    texts = {text.get_text() for text in axes.texts}
    best = int(np.argmin(found.ranks))
    assert f"{NAMES[best]} {found.ranks[best]:.2f}" in texts


def test_the_critical_difference_is_a_bar_above_an_axis_of_all_ranks() -> None:
    pytest.importorskip("scikit_posthocs")
    found = compare_ranks(NAMES, values())
    axes = Figure().subplots()
    found.draw_on(axes)
    (bar,) = [line for line in axes.lines if line.get_marker() == "|"]
    assert list(bar.get_xdata()) == [1, 1 + found.difference]
    axis = axes.spines["top"]
    assert axis.get_visible()
    assert axis.get_bounds() == (1, 6)
    assert bar.get_window_extent().y0 > axis.get_window_extent().y1


def test_lines_end_before_the_names() -> None:
    pytest.importorskip("scikit_posthocs")
    found = compare_ranks(NAMES, values())
    axes = Figure().subplots()
    found.draw_on(axes)
    axes.figure.draw_without_rendering()
    lines = [line.get_window_extent() for line in axes.lines if line.get_marker() != "|"]
    names = [text.get_window_extent() for text in axes.texts]
    assert not any(name.overlaps(line) for name in names for line in lines)


def test_too_few_sets_for_any_difference_are_named_as_such() -> None:
    found = compare_ranks(NAMES, values()[:, :2])
    assert found.difference > len(NAMES) - 1
    assert "No two of 6 detectors can differ significantly on so few sets" in found.describe()
    assert "A bar joins" not in found.describe()


def test_a_run_gives_the_same_picture_each_time(tmp_path: Path) -> None:
    pytest.importorskip("scikit_posthocs")
    run = make_run(tmp_path, {"energy": 2.0, "msp": 1.0, "$x_{": 0.2})
    first, second = (draw_mean_ranks(mean_ranks(run.records)) for _ in range(2))
    assert first == second
    assert "energy 1.00" in first.description


def test_what_failed_on_a_set_is_left_out(tmp_path: Path) -> None:
    records = make_run(tmp_path, {"a": 2.0, "bb": 1.0, "ccc": 0.5, "lost": 3.0}).records
    lost = (records["detector"] == "lost") & (records["ood_dataset"] == "Uniform")
    records.loc[lost, "status"] = "failed"
    assert mean_ranks(records).names == ("a", "bb", "ccc")


@pytest.mark.parametrize(("detectors", "sets"), [(2, 5), (5, 1)])
def test_too_few_detectors_or_sets_are_named_in_one_sentence(detectors: int, sets: int) -> None:
    message = f"needs at least three .* there are {detectors} on {sets} without a failure.$"
    with pytest.raises(FigureUnavailable, match=message):
        compare_ranks(NAMES[:detectors], values()[:detectors, :sets])


def test_detectors_that_are_all_alike_have_no_diagram() -> None:
    with pytest.raises(FigureUnavailable, match="all are equal"):
        compare_ranks(NAMES, np.zeros((6, 4)))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    with pytest.raises(FigureUnavailable, match="the extra 'plots' has it"):
        compare_ranks(NAMES, values()).draw_on(Figure().subplots())


def test_it_says_whether_a_difference_is_supported() -> None:
    assert compare_ranks(NAMES, values()).describe().startswith("The detectors differ over the 12")
    noise = np.random.default_rng(1).normal(0, 1, (3, 4))
    assert "no difference of the detectors is supported" in compare_ranks("abc", noise).describe()
