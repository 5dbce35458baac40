"""AUPR that does not depend on the ratio of images, computed for runs whose records lack it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_runs import make_run

from oodbench.cli import main
from oodbench.measures.prevalence import aupr_id_balanced, aupr_ood_balanced
from oodbench.report.derived import add_derived, scored_runs
from oodbench.report.footnotes import prevalence_note
from oodbench.report.prevalence import prevalence_table
from oodbench.report.tables import render

BALANCED = ["aupr_id_balanced", "aupr_ood_balanced"]


@pytest.mark.parametrize("seeds", [(None,), (0, 1)])
def test_every_row_has_the_areas_of_its_own_scores(tmp_path: Path, seeds: tuple) -> None:
    run = make_run(tmp_path, {"energy": 1.0, "msp": 0.5}, seeds=seeds)
    found = add_derived(run.records, scored_runs(run.records, run.scores()), BALANCED)
    assert len(found) == len(run.records)
    for row in found[found["ood_dataset"] != ""].to_dict("records"):
        scores = run.scores()
        own = scores[(scores["detector"] == row["detector"]) & (scores["split"] == "test")]
        if not pd.isna(row["seed"]):
            own = own[own["seed"] == row["seed"]]
        known, unknown = (
            own[own["dataset"] == row[name]]["score"].to_numpy()
            for name in ("id_dataset", "ood_dataset")
        )
        assert row["aupr_id_balanced"] == aupr_id_balanced(known, unknown)
        assert row["aupr_ood_balanced"] == aupr_ood_balanced(known, unknown)


def test_rows_without_scores_have_none(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"energy": 1.0, "msp": 0.5})
    scores = run.scores()
    own = scores[scores["detector"] == "msp"]
    found = add_derived(run.records, scored_runs(run.records, own), BALANCED)
    assert found[found["detector"] == "energy"][BALANCED].isna().all(axis=None)
    assert found[found["ood_dataset"] == ""][BALANCED].isna().all(axis=None)


def test_the_note_names_the_share_of_ood_images(tmp_path: Path) -> None:
    note = prevalence_note(make_run(tmp_path).records)
    assert "for AUPR-OOD 40.00 % to 45.45 % here" in note  # 40 and 50 to 60 ID images


def test_the_table_leaves_out_the_id_set(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"energy": 1.0})
    table = prevalence_table(run.records, run.scores())
    assert [block[0][0].text for block in table.blocks] == ["Glyphs", "Uniform"]
    titles = [cell.text for cell in table.header[2:]]
    assert titles == ["AUPR-ID", "AUPR-ID (1:1)", "AUPR-OOD", "AUPR-OOD (1:1)"]


def test_the_command_shows_them_when_asked_and_says_why(tmp_path: Path, capsys) -> None:
    make_run(tmp_path, {"energy": 1.0})
    asked = ["table", str(tmp_path), "--format", "markdown", "--metrics"]
    assert main([*asked, "aupr_ood,aupr_ood_balanced"]) == 0
    text = capsys.readouterr().out
    assert "AUPR-OOD (1:1)" in text
    assert text.count("AUPR depends on the ratio of ID to OOD images") == 1
    assert main([*asked, "auroc"]) == 0
    assert "AUPR" not in capsys.readouterr().out


def test_all_measures_of_a_csv_are_those_of_the_records(tmp_path: Path) -> None:
    text = render(make_run(tmp_path).records, format="csv")
    assert "aupr_ood_mean" in text
    assert "balanced" not in text
