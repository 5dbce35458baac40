"""Comparing runs says what changed, whether that is more than noise, and what may explain it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_runs import SETS, make_run, scores_of

from oodbench.cli import main
from oodbench.measures.paired import Estimate
from oodbench.report.comparison import Change, Comparison, compare, report
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


def shown(comparison: Comparison) -> list[dict[str, str]]:
    """Return the rows of the printed table by the headings of the columns."""
    lines = [line for line in markdown(report(comparison)).splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_an_interval_that_excludes_0_stands_beside_beyond_noise_alone(tmp_path: Path) -> None:
    shifts = {f"detector-{'x' * number}": 1.0 for number in range(12)}
    first = make_run(tmp_path / "a", shifts)
    changed = {name: 1 + 0.06 * number for number, name in enumerate(shifts)}
    found = compare(first, make_run(tmp_path / "b", changed, noise=1))
    for row in shown(found):
        low, high = (end[0] for end in row["95 % interval"].split(" to "))
        assert (low == high) == (row["Verdict"] == "beyond noise")
    assert {change.verdict for change in found.changes} == {"beyond noise", "within noise"}
    # Taken alone, more intervals exclude 0: with so many, some do by chance.
    alone = [change.difference.interval() for change in found.changes]
    beyond = [change.verdict == "beyond noise" for change in found.changes]
    assert sum(low > 0 or high < 0 for low, high in alone) > sum(beyond)
    assert "all 24 differences hold together (Bonferroni" in markdown(report(found))


def test_a_single_difference_has_the_plain_interval(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.0}, sets=SETS[:1])
    (change,) = compare(first, make_run(tmp_path / "b", {"energy": 1.3}, sets=SETS[:1])).changes
    assert change.interval == change.difference.interval()


def test_differences_that_do_not_add_up_after_rounding_are_explained() -> None:
    def change(first: float, second: float) -> Comparison:
        difference = Estimate(second - first, 1e-8)
        name = ("A", "B", "msp", "net")
        return Comparison((Change(name, first, second, difference, True, 1, ()),), 0, ())

    for second, expected, explained in ((0.95526, "+0.00", True), (0.9553, "+0.01", False)):
        found = change(0.95524, second)
        (row,) = shown(found)
        assert (row["First"], row["Second"], row["Difference"]) == ("95.52", "95.53", expected)
        assert ("Differences are taken before rounding" in markdown(report(found))) == explained


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
