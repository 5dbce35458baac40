"""Comparing runs says what changed, whether that is more than noise, and what may explain it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_runs import make_run, scores_of

from oodbench.cli import main
from oodbench.comparison import Change, Comparison, compare, report
from oodbench.report.markup import markdown


def named(comparison: Comparison) -> dict[tuple[str, str], Change]:
    return {(change.name[1], change.name[2]): change for change in comparison.changes}


def test_equal_runs_do_not_differ(tmp_path: Path) -> None:
    found = compare(make_run(tmp_path / "a"), make_run(tmp_path / "b"))
    assert found == Comparison((), 4, ())
    text = markdown(report(found))
    assert "0 of 4 cells differ" in text
    assert "No input differs" in text


def test_a_changed_detector_is_found_alone(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0, "msp": 1.0})
    second = make_run(tmp_path / "b", {"energy": 1.0, "msp": 2.0})
    found = compare(first, second)
    assert found.unchanged == 2
    assert set(named(found)) == {("Glyphs", "msp"), ("Uniform", "msp")}
    change = named(found)["Uniform", "msp"]
    assert (change.paired, change.verdict) == (True, "beyond noise")
    records = [
        run.records.set_index(["ood_dataset", "detector"])["auroc"] for run in (first, second)
    ]
    assert change.first == pytest.approx(records[0]["Uniform", "msp"])
    assert change.difference.value == pytest.approx(
        records[1]["Uniform", "msp"] - records[0]["Uniform", "msp"]
    )


def test_a_small_change_is_within_noise(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0})
    second = make_run(tmp_path / "b", {"energy": 1.0}, noise=1)
    assert {change.verdict for change in compare(first, second).changes} == {"within noise"}


def test_a_detector_that_one_run_lacks_is_named(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0, "msp": 1.0})
    second = make_run(tmp_path / "b", {"energy": 1.0, "vim": 1.0})
    verdicts = {name[1]: change.verdict for name, change in named(compare(first, second)).items()}
    assert verdicts == {"msp": "only first", "vim": "only second"}


def test_inputs_that_differ_are_named_with_what_they_concern(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0, "msp": 1.0})
    second = make_run(
        tmp_path / "b",
        {"energy": 1.2, "msp": 1.0},
        request={"detectors": {"energy": {"temperature": 2.0}, "msp": {"temperature": 1.0}}},
        versions={"oodbench": "0.1.0", "torch": "2.15.0"},
    )
    found = compare(first, second)
    assert [str(each) for each in found.inputs] == [
        "request.detectors.energy.temperature: 1.0 → 2.0",
        "versions.torch: 2.9.0 → 2.15.0",
    ]
    assert [each.concerns for each in found.inputs] == ["energy", ""]
    assert named(found)["Uniform", "energy"].inputs == found.inputs


def test_a_change_that_no_input_explains_is_named(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0, "msp": 1.0})
    second = make_run(
        tmp_path / "b",
        {"energy": 1.0, "msp": 3.0},
        request={"detectors": {"energy": {"temperature": 2.0}, "msp": {"temperature": 1.0}}},
    )
    text = markdown(report(compare(first, second)))
    assert "No input that differs explains the changes of msp on Glyphs, msp on Uniform." in text


def test_other_images_make_the_test_unpaired(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0})
    prints = {"train": "a" * 64, "test": "b" * 64, "ood": {"Glyphs": "f" * 64, "Uniform": "1" * 64}}
    second = make_run(tmp_path / "b", {"energy": 1.3}, request={"fingerprints": prints})
    found = named(compare(first, second))
    assert not found["Glyphs", "energy"].paired
    assert found["Uniform", "energy"].paired
    assert (
        found["Glyphs", "energy"].difference.variance
        > found["Uniform", "energy"].difference.variance
    )
    text = markdown(report(compare(first, second)))
    assert "request.fingerprints.ood.Glyphs: 000000000000… → ffffffffffff…" in text


def test_seeds_that_scatter_are_part_of_the_noise(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"ganad": 1.0}, seeds=(0, 1, 2))
    shifts = (0.6, 1.0, 4.0)
    scores = pd.concat(
        [scores_of("ganad", shift, seed=seed) for seed, shift in enumerate(shifts)],
        ignore_index=True,
    )
    second = make_run(tmp_path / "b", {"ganad": 1.0}, seeds=(0, 1, 2), scores=scores)
    for change in compare(first, second).changes:
        assert change.difference.freedom < 10
        assert change.verdict == "within noise"


def test_the_command_prints_the_comparison(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "a", {"energy": 1.0})
    make_run(tmp_path / "b", {"energy": 2.0})
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "beyond noise" in capsys.readouterr().out
    line = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "markdown"]
    assert main(line) == 0
    assert "beyond noise |" in capsys.readouterr().out


def test_the_command_refuses_what_is_no_run(tmp_path: Path, capsys) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err
