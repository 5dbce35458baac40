"""The command ``audit`` marks OOD sets that tell little."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import oodbench
from oodbench.cli import main


@pytest.fixture
def audit(tmp_path: Path, tiny: Path, capsys, monkeypatch):
    """Return a function that audits the tiny benchmark and returns exit code and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(line: str) -> tuple[int, str]:
        code = main(["audit", "--benchmark", str(tiny), *line.split()])
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return a pack of noise in which two ID images lie, the second a little brighter."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    digits = np.rint(load_digits().images[:2] * 255 / 16).astype(np.uint8)
    noise[4] = digits[0]
    noise[7] = np.minimum(digits[1].astype(int) + 2, 255)
    path = tmp_path / "planted.npz"
    np.savez(path, images=noise, labels=np.zeros(30, dtype=np.int64))
    return path


def test_sets_that_a_trivial_statistic_separates_are_marked(audit) -> None:
    code, output = audit("--json")
    assert code == 0
    found = json.loads(output)
    noise = found["ood_sets"]["Uniform"]
    assert noise["auroc"]["compressed-size"] > 0.99
    assert "compressed-size" in noise["separated_by"]
    assert noise["exact_duplicates"] == noise["near_duplicates"] == []
    assert found["separates_from_auroc"] == 0.9


def test_planted_duplicates_are_found(audit, planted: Path) -> None:
    _, output = audit(f"--ood {planted} --json")
    [found] = json.loads(output)["ood_sets"].values()
    assert [index for index, _ in found["exact_duplicates"]] == [4]
    assert [index for index, _ in found["near_duplicates"]] == [7]


def test_one_table_says_it_all(audit, planted: Path) -> None:
    code, output = audit(f"--ood uniform,{planted}")
    assert code == 0
    assert "compressed" in output
    assert "2 of 2 OOD sets are separated by one of them" in output
    assert "exact: every pixel is that of an ID training image" in output


BROKEN = """
from oodbench.contracts import SHORTCUT, Detector, Info, Need, hookimpl


class Dividing(Detector):
    family = SHORTCUT
    info = Info(name="dividing", summary="Divides by zero.")
    needs = frozenset({Need.INPUTS})

    def score(self, batch):
        return 1 / 0


class Logits(Dividing):
    info = Info(name="no-trifle", summary="Reads more than images.")
    needs = frozenset({Need.LOGITS})


@hookimpl
def oodbench_detectors():
    return [Dividing, Logits]
"""


def test_a_statistic_that_fails_is_named_and_loses_its_column_alone(audit, install) -> None:
    install("broken_statistics", BROKEN)
    code, output = audit("--ood uniform --json")
    assert code == 1
    found = json.loads(output)
    assert set(found["broken"]) == {"dividing", "no-trifle"}
    assert "ZeroDivisionError" in found["broken"]["dividing"]
    assert "more than images" in found["broken"]["no-trifle"]
    areas = found["ood_sets"]["Uniform"]["auroc"]
    assert areas["dividing"] is areas["no-trifle"] is None
    assert areas["compressed-size"] > 0.99


def test_the_figures_are_those_of_a_run(audit, tiny, store, one_cpu, tmp_path) -> None:
    areas = json.loads(audit("--json")[1])["ood_sets"]["PhotoPatches-bw"]["auroc"]
    run = oodbench.run(
        benchmark=str(tiny),
        detectors=["all-shortcut"],
        store=store,
        out=tmp_path / "run",
        engine="inline",
        validation_images=0,  # the audit looks at all training images
    )
    rows = run.records[run.records["ood_dataset"] == "PhotoPatches-bw"]
    assert areas == pytest.approx(dict(zip(rows["detector"], rows["auroc"], strict=True)))


def test_sets_that_a_generator_makes_are_left_out(audit) -> None:
    _, output = audit("--ood uniform,ganad-fakes --json")
    found = json.loads(output)
    assert list(found["ood_sets"]) == ["Uniform"]
    assert "its images are made by a trained generator" in found["missing"]["Fakes (norm 0-5)"]
    assert audit("--ood ganad-fakes")[0] == 2


def test_what_is_done_is_told_unless_it_is_to_be_quiet(tiny: Path, capsys) -> None:
    line = f"audit --benchmark {tiny} --ood uniform"
    assert main(line.split()) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1:3] for line in lines] == [
        ["1/2", "fit the statistics to Digits"],
        ["2/2", "audit Uniform"],
    ]
    assert main([*line.split(), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
