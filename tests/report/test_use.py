"""Check the table of costs in use against plain arithmetic on a run's files."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run, predictions_of

from oodbench.cli import main
from oodbench.errors import UserError
from oodbench.measures.use import Use, augrc
from oodbench.report.derived import Scored, add_derived, scored_runs
from oodbench.report.use import read_use, use_frame
from oodbench.results.run import Run

USE = Use(0.1, 5, 1, 1)


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("ood=10%,cost=5:1:1", USE),
        ("ood=0.5%, cost=20:2.5:0", Use(0.005, 20, 2.5, 0)),
        ("ood=50%", Use(0.5)),
    ],
)
def test_a_use_is_a_share_and_costs(text: str, use: Use) -> None:
    assert read_use(text) == use


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a share"),
        ("10%", "expected a share"),
        ("ood=10", "the share is given in %"),
        ("ood=0.1,cost=5:1:1", "the share is given in %"),
        ("ood=0%", "the share of OOD inputs is 0, not between 0 and 1"),
        ("ood=100%", "the share of OOD inputs is 1, not between 0 and 1"),
        ("ood=1..5%", "expected a share"),
        ("ood=1.2.3%", "expected a share"),
        ("ood=10%,cost=5:1", "expected a share"),
        ("ood=10%,cost=0:0:0", "the costs 0:0:0 are not"),
        ("cost=5:1:1", "expected a share"),
    ],
)
def test_anything_else_is_refused_with_the_reason_and_an_example(text: str, reason: str) -> None:
    message = f"^cannot use '{re.escape(text)}': {reason}.*write 'ood=10%' .*'ood=10%,cost=5:1:1'"
    with pytest.raises(UserError, match=message):
        read_use(text)


def scored(run: Run) -> list[Scored]:
    return list(scored_runs(run.records, run.scores(), run.predictions()))


def one_by_one(run: Run, detector: str, use: Use) -> float:
    """Return the smallest risk of a detector, threshold by threshold and image by image."""
    scores, predictions = run.scores(), run.predictions()
    own = scores[(scores["detector"] == detector) & (scores["split"] == "test")]
    known = own[own["dataset"] == "Digits"].sort_values("index")["score"].to_numpy()
    sets = [own[own["dataset"] == title]["score"].to_numpy() for title in ("Glyphs", "Uniform")]
    answers = predictions[
        (predictions["dataset"] == "Digits") & (predictions["split"] == "test")
    ].sort_values("index")
    correct = (answers["label"] == answers["prediction"]).to_numpy()
    risks = []
    for limit in [-np.inf, *known, *sets[0], *sets[1]]:
        accepted = known <= limit
        known_cost = use.accepted_error * (accepted & ~correct) + use.rejected_good * (
            ~accepted & correct
        )
        ood = np.mean([np.mean(scores <= limit) for scores in sets])
        risks.append(
            (1 - use.share) * known_cost.mean() + use.share * use.accepted_ood * float(ood)
        )
    return min(risks)


def test_each_line_has_the_smallest_risk_of_its_detector(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"energy": 1.5, "msp": 0.5, "knn": 3.0})
    frame = use_frame(run, USE, samples=200)
    assert list(frame["detector"]) == ["knn", "energy", "msp"]
    for line in frame.to_dict("records"):
        assert line["risk"] == pytest.approx(one_by_one(run, line["detector"], USE), abs=1e-12)
        assert line["risk_low"] <= line["risk"] <= line["risk_high"]
        shares = [line[name] for name in ("accepted_ood", "accepted_error", "rejected_good")]
        assert line["risk"] == pytest.approx(float(USE.weights @ shares))
    assert frame["above_best"].iloc[0] == frame["above_best_high"].iloc[0] == 0


def test_several_runs_of_a_detector_count_as_their_mean(tmp_path: Path) -> None:
    several = make_run(tmp_path / "both", {"energy": 1.0}, seeds=(0, 1))
    apart = []
    for seed in (0, 1):
        scores = several.scores()
        own = make_run(tmp_path / str(seed), {"energy": 1.0}, scores=scores[scores["seed"] == seed])
        apart.append(use_frame(own, USE, samples=10)["risk"].iloc[0])
    together = use_frame(several, USE, samples=10)
    assert len(together) == 1
    assert together["risk"].iloc[0] == pytest.approx(np.mean(apart))


def test_a_detector_without_scores_of_a_set_is_left_out(tmp_path: Path) -> None:
    scores = make_run(tmp_path / "all", {"energy": 1.5, "msp": 0.5}).scores()
    lost = (scores["detector"] == "msp") & (scores["dataset"] == "Uniform")
    run = make_run(tmp_path / "some", {"energy": 1.5, "msp": 0.5}, scores=scores[~lost])
    assert list(use_frame(run, USE, samples=10)["detector"]) == ["energy"]


def test_without_labels_there_is_nothing_to_say(tmp_path: Path) -> None:
    answers = predictions_of((0,))
    run = make_run(tmp_path, {"energy": 1.5}, predictions=answers.assign(label=-1))
    with pytest.raises(UserError, match="lacks labels or predictions"):
        use_frame(run, USE)
    found = add_derived(
        run.records,
        scored(run),
        ["augrc10", "aupr_id_balanced"],
    )
    assert found["augrc10"].isna().all()
    assert found["aupr_id_balanced"].notna().any()


def test_areas_at_a_share_are_columns_like_others(tmp_path: Path, capsys) -> None:
    run = make_run(tmp_path, {"energy": 1.5})
    found = add_derived(run.records, scored(run), ["augrc1", "auroc"])
    first = scored(run)[0]
    assert first.correct is not None
    expected = augrc(first.known, first.unknown["Glyphs"], first.correct, share=0.01)
    assert found[found["ood_dataset"] == "Glyphs"]["augrc1"].item() == expected
    asked = ["table", str(tmp_path), "--format", "markdown", "--metrics", "augrc1,augrc10,aurc50"]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "AUGRC (1 %) in % on each OOD set" in text
    assert text.count("area under the generalised risk-coverage curve") == 1


def test_the_command_prints_the_table(tmp_path: Path, capsys) -> None:
    make_run(tmp_path, {"energy": 1.5, "msp": 0.5})
    asked = ["table", str(tmp_path), "--use", "ood=10%,cost=5:1:1", "--bootstrap", "100"]
    assert main([*asked, "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "Cost of 100 inputs of which 10 are OOD" in text
    assert "cost 5 : 1 : 1" in text
    assert "| accept everything " in text
    assert "from 100 bootstrap samples" in text
    assert main([*asked, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("detector,risk,risk_low,risk_high,above_best,")
    assert len(lines) == 3


def test_what_costs_nothing_needs_no_detector(tmp_path: Path, capsys) -> None:
    make_run(tmp_path, {"energy": 1.5})
    assert main(["table", str(tmp_path), "--use", "ood=10%,cost=5:1:1", "--format", "csv"]) == 0
    (line,) = pd.read_csv(io.StringIO(capsys.readouterr().out)).to_dict("records")
    # Accuracy 90 %: accepting all costs 0.1 * 5 + 0.9 * 0.1, rejecting all 0.9 * 0.9.
    assert line["risk"] < min(0.1 * 5 + 0.9 * 0.1, 0.9 * 0.9)


@pytest.mark.parametrize("others", [["--metrics", "auroc"], ["--like", "table11"]])
def test_columns_of_its_own_exclude_others(tmp_path: Path, capsys, others: list[str]) -> None:
    make_run(tmp_path, {"energy": 1.5})
    assert main(["table", str(tmp_path), "--use", "ood=10%", *others]) == 2
    assert "--use has columns of its own" in capsys.readouterr().err
