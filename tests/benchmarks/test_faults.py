"""The script that breaks runs: it tells a run that lost nothing from one that did."""

import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import faults
import pandas as pd
import pytest

from oodbench.results.run import read_run


@pytest.mark.slow  # every try is a run or two in processes of their own
def test_runs_that_are_killed_or_find_damaged_artifacts_lose_nothing(
    monkeypatch, tmp_path: Path
) -> None:
    table = tmp_path / "faults.csv"
    options = ["--engine", "inline", "--share", "0.02", "--csv", str(table)]
    monkeypatch.setattr(sys, "argv", ["faults.py", "kill-9", "removed", *options])
    faults.main()
    rows = pd.read_csv(table)[["engine", "tries", "lost"]]
    assert rows.to_numpy().tolist() == [["inline", 1, 0]] * 2


def test_a_row_replaces_that_of_the_same_fault_and_engine(tmp_path: Path) -> None:
    table = tmp_path / "faults.csv"
    for fault, engine, tries in (
        ("terminal closed", "inline", 1),
        ("`kill -9`", "ray", 1),
        ("`kill -9`", "inline", 1),
        ("`kill -9`", "inline", 5),
    ):
        faults.keep({"fault": fault, "engine": engine, "tries": tries}, table)
    assert pd.read_csv(table).to_numpy().tolist() == [
        ["`kill -9`", "inline", 5],
        ["`kill -9`", "ray", 1],
        ["terminal closed", "inline", 1],
    ]


def test_a_run_with_another_score_is_told(drawable: Path, tmp_path: Path) -> None:
    shutil.copytree(drawable, tmp_path / "out")
    first = read_run(drawable)
    setting = faults.Setting(tmp_path, first, random.Random(0), 1.0)
    setting.compare()
    other = first.records.assign(auroc=first.records["auroc"] / 2)
    setting.undisturbed = SimpleNamespace(
        records=other, scores=first.scores, predictions=first.predictions
    )
    with pytest.raises(faults.Lost, match="records differ"):
        setting.compare()
