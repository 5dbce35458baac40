"""Intervals come from resampled images where they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.cli import main
from oodbench.report.resampled import resampled


def test_intervals_are_those_of_the_bootstrap_and_close_to_delongs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", seeds=(0, 1))
    found = resampled(run.records, run.scores(), 2000)
    kept = run.records.drop(columns=["auroc_low", "auroc_high"])
    assert found[kept.columns].equals(kept)
    ood = run.records["ood_dataset"] != ""
    for end in ("auroc_low", "auroc_high"):
        assert found.loc[~ood, end].isna().all()
        assert (found.loc[ood, end] != run.records.loc[ood, end]).all()
        assert (found.loc[ood, end] - run.records.loc[ood, end]).abs().max() < 0.03
    inside = found[ood]
    assert inside["auroc"].between(inside["auroc_low"], inside["auroc_high"]).all()


def test_the_table_says_whose_its_intervals_are(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "run")
    assert main(["table", str(tmp_path / "run"), "--format", "markdown"]) == 0
    usual = capsys.readouterr().out
    command = ["table", str(tmp_path / "run"), "--format", "markdown", "--bootstrap", "1000"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "95 % interval: DeLong's, over the choice of images" in usual
    assert "95 % interval: of 1,000 bootstrap samples, over the choice of images" in text


def test_no_samples_are_the_users_mistake(tmp_path: Path, capsys) -> None:
    make_run(tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["table", str(tmp_path / "run"), "--bootstrap", "0"])
    assert ended.value.code == 2
    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err
