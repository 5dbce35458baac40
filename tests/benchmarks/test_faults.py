"""The script that breaks runs: it tells a run that lost nothing from one that did."""

import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import faults
import pytest

from oodbench.results.run import read_run


@pytest.mark.slow  # every try is a run or two in processes of their own
def test_runs_that_are_killed_or_find_damaged_artifacts_lose_nothing(monkeypatch, capsys) -> None:
    command = ["faults.py", "kill-9", "removed", "--engine", "inline", "--share", "0.02"]
    monkeypatch.setattr(sys, "argv", command)
    faults.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [[cell.strip() for cell in row[1:]] for row in rows] == [["inline", "1", "0"]] * 2


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
