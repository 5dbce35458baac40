"""Figures that an older version computed otherwise are computed again from the scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run

from oodbench.cli import main
from oodbench.errors import InvalidData
from oodbench.report.recomputed import recompute_run
from oodbench.results.run import Run, read_run
from oodbench.store.artifacts import digest_file


def age(run: Run) -> None:
    """Rewrite records as an older version left them: no thresholds, and other figures of AUPR."""
    path = run.directory / "records.csv"
    records = run.records.drop(columns=["threshold95", "threshold99"])
    records.assign(aupr_ood=records["aupr_ood"] + 0.25).to_csv(path, index=False)
    info = run.info | {"files": run.info["files"] | {"records.csv": digest_file(path)}}
    (run.directory / "run.json").write_text(json.dumps(info), encoding="utf-8")


def test_a_run_of_an_older_version_is_brought_up_to_date(tmp_path: Path, capsys) -> None:
    run = make_run(tmp_path / "run", seeds=[0, 1])
    scores = (tmp_path / "run" / "scores.parquet").read_bytes()
    age(run)
    with pytest.raises(InvalidData, match="no column threshold95, threshold99 "):
        read_run(tmp_path / "run")
    assert main(["recompute", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}/: 12 records\n"
    again = read_run(tmp_path / "run")
    pd.testing.assert_frame_equal(again.records, run.records)
    assert (tmp_path / "run" / "scores.parquet").read_bytes() == scores
    assert (tmp_path / "run" / "table.md").read_text(encoding="utf-8").startswith("## Digits")
    assert again.info["files"].keys() > run.info["files"].keys()
    assert {**again.info, "files": None} == {**run.info, "files": None}


def test_thresholds_reject_the_share_that_the_records_have(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    scores = run.scores().set_index(["detector", "dataset", "split"])["score"]
    for _, row in run.records[run.records["ood_dataset"] != ""].iterrows():
        own = scores[row["detector"], row["ood_dataset"], "test"].to_numpy()
        assert np.mean(own > row["threshold95"]) == row["acc95"]
        assert np.mean(own > row["threshold99"]) == row["acc99"]


def test_failed_records_stay_failed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    failed = run.records["detector"] == "msp"
    columns = run.records.columns.difference(
        ["id_dataset", "ood_dataset", "detector", "classifier", "classifier_seed", "seed"]
    )
    records = run.records.copy()
    records.loc[failed, columns] = None
    records = records.assign(
        status=np.where(failed, "failed", "ok"), error=np.where(failed, "ValueError: NaN", "")
    )
    made = make_run(tmp_path / "failed", records=records)
    pd.testing.assert_frame_equal(recompute_run(made.directory).records, made.records)


def test_a_record_without_scores_is_pointed_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    without = run.scores()[lambda scores: scores["detector"] != "msp"]
    made = make_run(tmp_path / "lost", records=run.records, scores=without)
    with pytest.raises(InvalidData, match="has no scores of msp on Digits, whose record says"):
        recompute_run(made.directory)
