"""Scores that were computed elsewhere become a run with the same measures, tables and files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

import oodbench
from oodbench.cli import main
from oodbench.errors import InvalidData, UserError
from oodbench.leaderboard.finding import find_entries
from oodbench.report.comparison import compare
from oodbench.report.recomputed import recompute_run
from oodbench.report.runpage import run_page
from oodbench.results.columns import MEASURES


def table(**changes: object) -> pd.DataFrame:
    """Return scores of two detectors on an ID set and two OOD sets, without calibration scores."""
    random = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "detector": detector,
                "dataset": dataset,
                "split": split,
                "score": random.normal(shift, 1, count).round(2),
            }
        )
        for detector in ("msp", "energy")
        for dataset, split, count, shift in (
            ("CIFAR-10", "id", 120, 0),
            ("SVHN", "ood", 90, 1),
            ("Textures", "ood", 70, 2),
        )
    ]
    return pd.concat(frames, ignore_index=True).assign(**changes)


def evaluated(scores: object, folder: Path, larger_is: str = "ood") -> oodbench.Run:
    return oodbench.evaluate(scores, larger_is=larger_is, out=folder / "run")


def test_figures_equal_those_of_scikit_learn(tmp_path: Path) -> None:
    frame = table()
    records = evaluated(frame, tmp_path).records.set_index(["detector", "ood_dataset"])
    for (detector, ood_dataset), record in records[records["n_ood"] > 0].iterrows():
        own = frame[frame["detector"] == detector]
        used = own[own["dataset"].isin(["CIFAR-10", ood_dataset])]
        is_ood, scores = used["split"] == "ood", used["score"]
        false, true, _ = roc_curve(is_ood, scores, drop_intermediate=False)
        assert record["auroc"] == pytest.approx(roc_auc_score(is_ood, scores), abs=1e-12)
        assert record["aupr_ood"] == pytest.approx(average_precision_score(is_ood, scores))
        assert record["aupr_id"] == pytest.approx(average_precision_score(~is_ood, -scores))
        assert record["fpr95_ood"] == pytest.approx(false[np.argmax(true >= 0.95)])
        assert record["auroc_low"] < record["auroc"] < record["auroc_high"]


def test_confidences_are_turned_around(tmp_path: Path) -> None:
    frame = table()
    turned = evaluated(frame.assign(score=-frame["score"]), tmp_path / "a", larger_is="id")
    pd.testing.assert_frame_equal(turned.records, evaluated(frame, tmp_path / "b").records)


def test_score_files_in_the_manner_of_openood(tmp_path: Path) -> None:
    # A file for each set: confidence, predicted class, and label, -1 where there is none.
    random = np.random.default_rng(0)
    sets = {"cifar10": (0, 300), "cifar100": (1, 200), "svhn": (2, 100)}
    for name, (shift, count) in sets.items():
        labels = random.integers(0, 10, count) if name == "cifar10" else np.full(count, -1)
        predictions = np.where(random.random(count) < 0.9, labels, 0).clip(0)
        confidences = random.normal(-shift, 1, count).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", conf=confidences, pred=predictions, label=labels)
    frames, loaded = [], {}
    for name in sets:
        loaded[name] = np.load(tmp_path / f"{name}.npz")
        columns = {"score": "conf", "prediction": "pred", "label": "label"}
        values = {column: loaded[name][array] for column, array in columns.items()}
        split = "id" if name == "cifar10" else "ood"
        frames.append(pd.DataFrame({"detector": "msp", "dataset": name, "split": split, **values}))
    pd.concat(frames).to_parquet(tmp_path / "scores.parquet")
    run = evaluated(tmp_path / "scores.parquet", tmp_path, larger_is="id")
    known = loaded["cifar10"]
    accuracy = np.mean(known["pred"] == known["label"])
    for name in ("cifar100", "svhn"):
        record = run.records.set_index("ood_dataset").loc[name]
        is_ood = np.repeat([False, True], [300, sets[name][1]])
        confidences = np.concatenate([known["conf"], loaded[name]["conf"]])
        assert record["auroc"] == pytest.approx(roc_auc_score(is_ood, -confidences), abs=1e-12)
        assert record["id_accuracy"] == accuracy
        assert 0 < record["oscr"] < accuracy
    assert len(run.predictions()) == 600


def test_scores_and_labels_in_the_manner_of_pytorch_ood(tmp_path: Path) -> None:
    import torch
    from pytorch_ood.metrics import OODMetrics

    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.randint(0, 10, (200,), generator=generator), torch.full((150,), -1)])
    scores = torch.randn(350, generator=generator) + (labels < 0)
    metrics = OODMetrics()
    metrics.update(scores, labels)
    expected = metrics.compute()
    run = oodbench.evaluate(
        scores[labels >= 0], {"Textures": scores[labels < 0]}, larger_is="ood", out=tmp_path / "run"
    )
    record = run.records.iloc[1]
    assert record["auroc"] == pytest.approx(expected["AUROC"], abs=1e-6)
    assert record["fpr95_ood"] == pytest.approx(expected["FPR95TPR"], abs=1e-6)


def test_a_file_of_scores_in_the_manner_of_pytorch_ood(tmp_path: Path) -> None:
    # Larger scores for OOD inputs, whose labels are negative.
    random = np.random.default_rng(0)
    labels = np.concatenate([random.integers(0, 10, 200), np.full(150, -1)])
    scores = random.normal(0, 1, 350).astype(np.float32) + (labels < 0)
    columns = {"dataset": np.where(labels < 0, "Textures", "CIFAR-10")}
    columns |= {"split": np.where(labels < 0, "ood", "id"), "score": scores, "label": labels}
    pd.DataFrame({"detector": "vim", **columns}).to_csv(tmp_path / "scores.csv", index=False)
    line = f"evaluate {tmp_path}/scores.csv --larger-is ood --out {tmp_path}/run --quiet"
    assert main(line.split()) == 0
    record = oodbench.read_run(tmp_path / "run").records.iloc[1]
    false, true, _ = roc_curve(labels < 0, scores, drop_intermediate=False)
    assert record["auroc"] == pytest.approx(roc_auc_score(labels < 0, scores), abs=1e-12)
    assert record["aupr_ood"] == pytest.approx(average_precision_score(labels < 0, scores))
    assert record["aupr_id"] == pytest.approx(average_precision_score(labels >= 0, -scores))
    assert record["fpr95_ood"] == pytest.approx(false[np.argmax(true >= 0.95)])


def test_the_scores_of_a_run_give_its_records_again(tmp_path: Path) -> None:
    made = make_run(tmp_path / "made", seeds=[0, 1], classifier_seeds=[0, 1])
    again = evaluated(made.directory / "scores.parquet", tmp_path)
    judging = ["id_accuracy", "oscr", "aurc"]
    kept = [*MEASURES, "n_id", "n_ood", "ties"]
    expected = made.records[kept].assign(**dict.fromkeys(judging, np.nan))
    pd.testing.assert_frame_equal(again.records[kept], expected)
    pd.testing.assert_frame_equal(
        again.records[["detector", "ood_dataset", "classifier_seed", "seed"]],
        made.records[["detector", "ood_dataset", "classifier_seed", "seed"]],
    )


def test_the_run_has_tables_a_report_leaderboard_entries_and_comparisons(tmp_path: Path) -> None:
    run = evaluated(table(), tmp_path)
    text = (run.directory / "table.md").read_text(encoding="utf-8")
    assert "scores computed elsewhere" in text
    assert "Accuracy (0.95) |" not in text
    page = run_page(run)
    assert "without calibration scores there is no threshold" in page
    entries, skipped = find_entries([tmp_path])
    assert not skipped
    assert [entry.detector for entry in entries] == ["msp", "energy"]
    other = evaluated(table(score=np.random.default_rng(1).normal(0, 1, 560)), tmp_path / "other")
    assert all(change.paired for change in compare(run, other).changes)
    records = recompute_run(run.directory).records
    pd.testing.assert_frame_equal(records, run.records)


def test_calibration_scores_give_the_thresholds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    calibration, known, unknown = (random.normal(shift, 1, 200) for shift in (0, 0, 2))
    run = oodbench.evaluate(
        {"a": known},
        {"SVHN": {"a": unknown}},
        calibration_scores={"a": calibration},
        larger_is="ood",
        id_dataset="CIFAR-10",
        out=tmp_path / "run",
    )
    limit = np.sort(calibration)[189]
    assert run.records["threshold95"].tolist() == [limit, limit]
    assert run.records["acc95"].tolist() == [np.mean(known <= limit), np.mean(unknown > limit)]
    assert run.table("acc95").loc["a", "SVHN"] == np.mean(unknown > limit)


def test_a_detector_that_lacks_an_ood_set_fails_there_alone(tmp_path: Path, capsys) -> None:
    frame = table()
    lacking = (frame["detector"] == "msp") & (frame["dataset"] == "SVHN")
    frame[~lacking].to_csv(tmp_path / "scores.csv", index=False)
    line = f"evaluate {tmp_path}/scores.csv --larger-is ood --out {tmp_path}/run"
    assert main(line.split()) == 1
    assert "there are no scores of this set" in capsys.readouterr().out
    records = oodbench.read_run(tmp_path / "run").records
    assert (records["status"] == "ok").sum() == 5


MISTAKES = {
    "detector,dataset,score\na,x,1\n": "has no column split",
    "detector,dataset,split,score\n": "holds no scores",
    "": "is damaged, or no csv file",
    "detector,dataset,split,score\na,x,id,1\n": "has no ood scores of detector 'a'",
    "detector,dataset,split,score\na,x,ood,1\n": "no ID scores",
    "detector,dataset,split,score\na,x,id,1\na,y,ood,high\n": "row 2 holds 'high'",
    "detector,dataset,split,score\na,x,id,1\na,y,ood,nan\n": "row 2 holds 'nan'",
    "detector,dataset,split,score\na,x,id,inf\na,y,ood,1\n": "row 1 holds 'inf'",
    "detector,dataset,split,score\na,x,id,\na,y,ood,1\n": "row 1 holds ''",
    "detector,dataset,split,score\na,x,id,1\n,y,ood,1\n": "there is no name in row 2",
    "detector,dataset,split,score\na,x,near,1\na,y,ood,1\n": "'near' is not a split",
    "detector,dataset,split,score\na,x,id,1\na,z,id,1\na,y,ood,1\n": "ID scores of 2 sets (x, z)",
    "detector,dataset,split,score\na,x,id,1\na,x,ood,1\n": "'x' is the ID set",
    "detector,dataset,split,score,index\na,x,id,1,0\na,x,id,1,0\na,y,ood,1,0\n": "two scores",
    "detector,dataset,split,score,index\na,x,id,1,0.5\na,y,ood,1,0\n": "a whole number from 0",
    "detector,dataset,split,score,prediction\na,x,id,1,1\na,y,ood,1,\n": "column prediction: row 2",
    "detector,dataset,split,score,classifier\na,x,id,1,n\na,y,ood,1,m\n": "2 classifiers (n, m)",
    "detector,dataset,split,score,prediction\na,x,id,1,1\na,y,ood,1,1\nb,x,id,1,2\nb,y,ood,1,1\n": (
        "has two labels or predictions"
    ),
}


@pytest.mark.parametrize(("content", "message"), MISTAKES.items(), ids=MISTAKES.values())
def test_what_cannot_be_used_is_refused_in_one_sentence(
    content: str, message: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "scores.csv").write_text(content, encoding="utf-8")
    line = f"evaluate {tmp_path}/scores.csv --larger-is ood --out {tmp_path}/run"
    assert main(line.split()) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_direction_is_asked_for(tmp_path: Path, capsys) -> None:
    table().to_csv(tmp_path / "scores.csv", index=False)
    assert main(f"evaluate {tmp_path}/scores.csv".split()) == 2
    assert "never guessed: --larger-is ood, or --larger-is id" in capsys.readouterr().err


def test_an_unknown_direction_is_named(tmp_path: Path, capsys) -> None:
    with pytest.raises(UserError, match=r"^larger_is is 'both', not 'ood' or 'id'$"):
        evaluated(table(), tmp_path, larger_is="both")
    with pytest.raises(SystemExit) as caught:
        main(f"evaluate {tmp_path}/scores.csv --larger-is both".split())
    assert caught.value.code == 2
    assert "argument --larger-is: invalid choice: 'both'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["scores.txt", "none.csv", "none.parquet"])
def test_a_file_of_another_kind_or_none_is_refused(name: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "scores.txt").write_text("", encoding="utf-8")
    assert main(f"evaluate {tmp_path}/{name} --larger-is ood".split()) == 2
    assert name in capsys.readouterr().err


def test_another_run_in_the_folder_is_kept_unless_forced(tmp_path: Path) -> None:
    evaluated(table(), tmp_path)
    evaluated(table(), tmp_path)  # the same scores: the same run
    with pytest.raises(UserError, match="holds the run of another request"):
        evaluated(table(score=np.arange(560.0)), tmp_path)


def test_arrays_of_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"the scores of 'SVHN' have shape \(2, 2\)"):
        oodbench.evaluate([1.0], {"SVHN": np.ones((2, 2))}, larger_is="ood", out=tmp_path)


@pytest.mark.parametrize(
    ("ood_scores", "message"),
    [
        (None, "name at least one OOD set"),
        ({}, "name at least one OOD set"),
        (np.ones(3), "ood_scores is of type ndarray, not a mapping from names of OOD sets"),
        ([1.0], "ood_scores is of type list, not a mapping from names of OOD sets"),
        ({"SVHN": [[1.0], [1.0, 2.0]]}, "the scores of 'SVHN' are no array"),
        ({"SVHN": []}, "there are no scores of 'SVHN'"),
        ({"SVHN": {"msp": [1.0]}}, "the scores of all sets are arrays, or all are mappings"),
    ],
)
def test_ood_scores_of_another_form_are_refused(
    ood_scores: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        oodbench.evaluate([1.0, 2.0], ood_scores, larger_is="ood", out=tmp_path)


def test_a_table_takes_no_further_scores(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a table has all scores in it; leave out ood_scores"):
        oodbench.evaluate(table(), {"SVHN": [1.0]}, larger_is="ood", out=tmp_path)


def test_a_column_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    frame = table()
    with pytest.raises(InvalidData, match="has the column score twice"):
        evaluated(pd.concat([frame, frame[["score"]]], axis=1), tmp_path)


def test_no_torch_is_imported(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "scores.csv", index=False)
    code = (
        "import sys; from oodbench.cli import main;"
        f"main('evaluate {tmp_path}/scores.csv --larger-is ood --out {tmp_path}/run'.split());"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
