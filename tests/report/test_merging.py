"""Several runs in one table: what has one name, but is not one thing, stands apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_runs import SETS, info_of, make_run

from oodbench.cli import main
from oodbench.errors import UserError
from oodbench.report.merging import combine, tell_apart, texts_of
from oodbench.results.run import Run

CHECKPOINT = {"path": "net.safetensors", "network": "resnet18"}


def shown(capsys: pytest.CaptureFixture[str], *runs: Run, style: str = "markdown") -> str:
    capsys.readouterr()
    assert main(["table", *(str(run.directory) for run in runs), "--format", style]) == 0
    return capsys.readouterr().out


def headings(text: str) -> list[str]:
    lines = text.replace("\\_", "_").splitlines()
    return [line.removeprefix("## ") for line in lines if line.startswith("##")]


def two(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> tuple[Run, Run]:
    """Make runs of one detector each, whose requests differ."""
    return (
        make_run(tmp_path / "a", {"energy": 1.5}, request=first),
        make_run(tmp_path / "b", {"msp": 1.0}, request=second),
    )


def prints(**changes: Any) -> dict[str, Any]:
    return {"fingerprints": info_of([])["request"]["fingerprints"] | changes}


def test_runs_of_one_classifier_stand_in_one_section(tmp_path: Path, capsys) -> None:
    text = shown(capsys, *two(tmp_path, {}, {}))
    assert headings(text) == ["Digits, classifier net (accuracy 90.00 %)"]
    assert "energy" in text.splitlines()[4]
    assert "msp" in text.splitlines()[4]


def test_classifiers_of_other_epochs_stand_in_sections_of_their_own(tmp_path, capsys) -> None:
    runs = two(
        tmp_path,
        {"classifier": {"net": {"width": 4, "epochs": 1}}},
        {"classifier": {"net": {"width": 4, "epochs": 20}}},
    )
    assert headings(shown(capsys, *runs)) == [
        "Digits, classifier net (epochs 1) (accuracy 90.00 %)",
        "Digits, classifier net (epochs 20) (accuracy 90.00 %)",
    ]


def test_other_weights_of_the_same_file_name_stand_apart(tmp_path: Path, capsys) -> None:
    runs = two(
        tmp_path,
        {"classifier": {"net": CHECKPOINT | {"sha256": "a" * 64}}},
        {"classifier": {"net": CHECKPOINT | {"sha256": "b" * 64}}},
    )
    assert headings(shown(capsys, *runs)) == [
        "Digits, classifier net (sha256 aaaaaaaaaaaa…) (accuracy 90.00 %)",
        "Digits, classifier net (sha256 bbbbbbbbbbbb…) (accuracy 90.00 %)",
    ]


@pytest.mark.parametrize("role", ["train", "test"])
def test_other_images_of_the_same_name_stand_apart(tmp_path: Path, capsys, role: str) -> None:
    first, second = two(tmp_path, {}, prints(**{role: "c" * 64}))
    assert headings(shown(capsys, first, second)) == [
        f"Digits, classifier net (run {tmp_path / 'a'}) (accuracy 90.00 %)",
        f"Digits, classifier net (run {tmp_path / 'b'}) (accuracy 90.00 %)",
    ]


def test_other_ood_images_of_the_same_name_stand_apart(tmp_path: Path, capsys) -> None:
    changed = prints(ood={SETS[0]: "0" * 64, SETS[1]: "f" * 64})
    assert len(headings(shown(capsys, *two(tmp_path, {}, changed)))) == 2


def test_a_selection_of_the_images_stands_apart(tmp_path: Path, capsys) -> None:
    runs = two(tmp_path, {}, {"images_per_set": 1000})
    assert headings(shown(capsys, *runs)) == [
        "Digits, classifier net (images per set 60) (accuracy 90.00 %)",
        "Digits, classifier net (images per set 1000) (accuracy 90.00 %)",
    ]


def test_another_precision_of_the_networks_stands_apart(tmp_path: Path, capsys) -> None:
    runs = two(tmp_path, {}, {"precision": "bfloat16"})
    assert headings(shown(capsys, *runs)) == [
        "Digits, classifier net (precision float32) (accuracy 90.00 %)",
        "Digits, classifier net (precision bfloat16) (accuracy 90.00 %)",
    ]


def test_a_run_that_does_not_tell_its_precision_joins_one_that_does(tmp_path: Path) -> None:
    first, second = two(tmp_path, {}, {"precision": "bfloat16"})
    request = {name: each for name, each in first.info["request"].items() if name != "precision"}
    older = Run(first.directory, first.info | {"request": request}, first.records)
    assert combine(tell_apart([older, second]))["classifier"].unique().tolist() == ["net"]


def test_another_accuracy_of_the_same_seed_stands_apart(tmp_path: Path) -> None:
    first, second = two(tmp_path, {}, {})
    second = Run(second.directory, second.info, second.records.assign(id_accuracy=0.5))
    assert len(combine(tell_apart([first, second]))["classifier"].unique()) == 2
    other = Run(second.directory, second.info, second.records.assign(classifier_seed=1))
    assert combine(tell_apart([first, other]))["classifier"].unique().tolist() == ["net"]


def test_runs_that_agree_with_one_of_two_sections_join_it(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, {name: 1.0}, request={"classifier": {"net": {"epochs": epochs}}})
        for name, epochs in (("a", 1), ("b", 2), ("c", 1), ("d", 2))
    ]
    found = combine(tell_apart(runs)).groupby("classifier", sort=False)["detector"].unique()
    assert {name: list(own) for name, own in found.items()} == {
        "net (epochs 1)": ["a", "c"],
        "net (epochs 2)": ["b", "d"],
    }


def test_runs_with_other_ood_sets_share_a_section(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.5}, sets=SETS[:1])
    second = make_run(tmp_path / "b", {"energy": 1.5}, sets=SETS)
    assert combine(tell_apart([first, second]))["classifier"].unique().tolist() == ["net"]


def test_detectors_with_other_parameters_are_columns_of_their_own(tmp_path: Path, capsys) -> None:
    runs = [
        make_run(
            tmp_path / name,
            {"energy": shift},
            request={"detectors": {"energy": {"temperature": temperature, "scale": 1}}},
            deviations={"energy": f"Temperature {temperature}."},
        )
        for name, shift, temperature in (("a", 1.5, 1.0), ("b", 0.5, 10.0))
    ]
    text = shown(capsys, *runs)
    assert "energy (temperature 1.0)¹ |   energy (temperature 10.0)²" in text
    assert "- ¹ energy (temperature 1.0): Temperature 1.0." in text
    assert "- ² energy (temperature 10.0): Temperature 10.0." in text


def test_what_two_runs_say_of_one_set_is_said(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, {name: 1.0}, notes={"Glyphs": note, "Uniform": "Both."})
        for name, note in (("a", "One."), ("b", "Two."))
    ]
    assert texts_of(runs)["notes"] == {"Glyphs": "One. Two.", "Uniform": "Both."}


def test_results_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", {"energy": 1.5})
    second = make_run(tmp_path / "b", {"energy": 1.5}, noise=1)
    with pytest.raises(UserError, match="have different results for energy on Digits"):
        combine(tell_apart([first, second]))
