"""A benchmark with folds is one run: each fold is there, and so is their mean."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sample_detectors import Brightness, Confidence, FarFromDrawn

import oodbench
from oodbench.cli import main
from oodbench.engine.progress import Progress
from oodbench.errors import InvalidData, UserError
from oodbench.leaderboard.build import read_leaderboard
from oodbench.measures.evaluation import recompute
from oodbench.registry.lookup import load_registry
from oodbench.report.comparison import compare
from oodbench.report.folds import summarise_folds
from oodbench.report.recomputed import recompute_run
from oodbench.report.runpage import run_page
from oodbench.results.columns import MEASURES
from oodbench.results.folds import read_fold
from oodbench.results.run import Run, read_run
from oodbench.submission.pack import write_pack

TIMES = ["fit_seconds", "score_seconds"]
ID_SETS = ["Digits, class 0", "Digits, class 3", "Digits, class 8"]


def start(three: Path, folder: Path, **options: Any) -> Run:
    where = {"store": folder / "store", "out": folder / "run", "data": folder}
    detectors = [Brightness(), FarFromDrawn(), Confidence()]
    given = {"detectors": detectors, "seeds": 2, "engine": "inline", "device": "cpu"}
    return oodbench.run(benchmark=three, **{**where, **given, **options})


@pytest.fixture(scope="module")
def folded(three: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(three, tmp_path_factory.mktemp("folded"))


@pytest.fixture
def copied(folded: Run, tmp_path: Path) -> Run:
    return read_run(shutil.copytree(folded.directory, tmp_path / "copied"))


def test_every_file_names_the_fold(folded: Run) -> None:
    for frame in (folded.records, folded.scores()):
        assert list(frame["fold"].unique()) == ["0", "3", "8"]
        assert next(iter(frame)) == "fold"
    assert list(folded.records["id_dataset"].unique()) == ID_SETS
    assert set(folded.records["status"]) == {"ok"}
    assert list(folded.info["folds"]) == ["0", "3", "8"]
    assert folded.info["folds"]["3"]["id"] == "digits[3]"
    assert folded.info["request"]["id"] == "digits[{digit}]"


def test_a_fold_is_the_run_of_its_definition_alone(
    folded: Run, three: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.toml"
    text = three.read_text().split("[folds]")[0].replace("{digit}", "3")
    alone.write_text(text)
    store = folded.directory.parent / "store"
    single = start(alone, tmp_path, store=store)
    assert single.info["jobs_run"] == 0
    part = read_fold(folded.directory, "3")
    pd.testing.assert_frame_equal(part.records, single.records)
    pd.testing.assert_frame_equal(part.scores(), single.scores())
    assert part.info["request"] == single.info["request"]


def test_what_differs_from_fold_to_fold_is_said_of_each(
    folded: Run, three: Path, tmp_path: Path
) -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    whole = load_registry().datasets["digits"].create().load(tmp_path, "test")
    images[0] = whole.images[whole.labels == 3][0]
    np.savez(tmp_path / "some.npz", images=images, labels=np.full(2, -1))
    text = three.read_text().replace('"uniform"', f'"{tmp_path / "some.npz"}"')
    (tmp_path / "some.toml").write_text(text)
    store = folded.directory.parent / "store"
    found = start(tmp_path / "some.toml", tmp_path, store=store, detectors=[Brightness()])
    note = found.info["notes"]["some"]
    assert "fold 3: 2 images; 1 of its 2 images are ID test images" in note
    assert "some" not in folded.info["notes"]
    assert "1 of its 2 images are ID test images" in (found.directory / "table.md").read_text()


def test_folds_share_what_is_equal(folded: Run) -> None:
    titles = list(folded.info["jobs"].values())
    assert titles.count("prepare uniform (test)") == 1
    assert sum(title.startswith("fit far-from-drawn (seed 0)") for title in titles) == 3


def test_the_table_has_each_fold_and_the_mean_with_both_spreads(folded: Run) -> None:
    table = (folded.directory / "table.md").read_text()
    assert "three, no classifier" in table
    assert "three: not applicable, since there is no classifier: confidence" in table
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for line in table.splitlines()
        if (cells := line.split("|"))[0] == "" and len(cells) > 3
    }
    ood = folded.records[folded.records["ood_dataset"] != ""]
    areas = ood.groupby(["detector", "id_dataset", "seed"], sort=False, dropna=False)[
        "auroc"
    ].mean()
    drawn = areas["far-from-drawn"].unstack()  # noqa: PD010 (of a series)
    assert rows["mean"][1].strip("*") == f"{100 * drawn.to_numpy().mean():.2f}"
    assert rows["spread over folds"][1] == f"{100 * drawn.mean(axis=1).std():.2f}"
    assert rows["spread over seeds"] == ["-", f"{100 * drawn.mean(axis=0).std():.2f}"]
    assert any(name.startswith("Digits, class 3") for name in rows)


def test_a_mean_over_folds_lacks_what_a_fold_lacks() -> None:
    rows = pd.DataFrame(
        {
            "id_dataset": ["a", "a", "b", "b"],
            "classifier_seed": 0,
            "seed": pd.array([0, 1, 0, 1], dtype="Int64"),
            "auroc": [0.5, 0.7, 0.8, 1.0],
        }
    )
    found = summarise_folds(rows, "auroc", 2)
    assert found.mean == pytest.approx(0.75)
    assert found.over_folds == pytest.approx(np.std([0.6, 0.9], ddof=1))
    assert found.over_seeds == pytest.approx(np.std([0.65, 0.85], ddof=1))
    assert math.isnan(summarise_folds(rows, "auroc", 3).mean)
    assert summarise_folds(rows.iloc[:3], "auroc", 2).mean == pytest.approx(0.7)


class Interrupting(Progress):
    """Ends the run, as Ctrl-C does, when a job of a fold begins."""

    def __init__(self, fold: str) -> None:
        super().__init__(quiet=True)
        self.fold = fold

    def started(self, job: Any, *rest: Any) -> None:
        if job.title.endswith(f"fold {self.fold}"):
            raise KeyboardInterrupt
        super().started(job, *rest)


def test_ended_in_a_fold_the_same_command_computes_what_is_missing(
    folded: Run, three: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        start(three, tmp_path, observer=Interrupting("3"))
    resumed = start(three, tmp_path)
    assert resumed.info["jobs_reused"] > 0
    assert resumed.info["jobs_run"] < folded.info["jobs_run"]
    titles = (tmp_path / "run" / "run.log").read_text()
    assert titles.count("score Digits, class 0 by brightness") == 1
    before, after = (each.records.drop(columns=TIMES) for each in (folded, resumed))
    pd.testing.assert_frame_equal(before, after)


def test_recomputed_records_are_the_same(copied: Run) -> None:
    assert recompute_run(copied.directory).records.equals(copied.records)
    assert read_run(copied.directory).records.equals(copied.records)


def verify(run: Run, three: Path, capsys: Any) -> tuple[int, str]:
    pack = run.directory.parent / "pack.zip"
    write_pack(run, pack)
    data = str(run.directory.parent)
    code = main(["verify", str(pack), "--benchmark", str(three), "--data", data])
    told = capsys.readouterr()
    return code, told.out + told.err


def test_a_pack_of_all_folds_verifies(copied: Run, three: Path, capsys: Any) -> None:
    code, told = verify(copied, three, capsys)
    figures = recompute(read_fold(copied.directory, "0").scores(), pd.DataFrame(), classified=False)
    assert code == 0
    assert f"verified: {3 * int(figures[MEASURES].notna().sum().sum()):,} figures" in told


def rewritten(run: Run, **changes: Any) -> Run:
    """Write a run anew with other records, scores or info."""
    from oodbench.results.run import write_run

    content = {
        "records": run.records,
        "scores": run.scores(),
        "predictions": run.predictions(),
        "info": run.info,
    }
    write_run(run.directory, **{**content, **changes})
    return read_run(run.directory)


def without(run: Run, fold: str) -> Run:
    """Write a run without one of its folds."""
    scores = run.scores()
    folds = {name: about for name, about in run.info["folds"].items() if name != fold}
    return rewritten(
        run,
        records=run.records[run.records["fold"] != fold],
        scores=scores[scores["fold"] != fold],
        info=run.info | {"folds": folds},
    )


def test_a_pack_without_a_fold_does_not_verify(copied: Run, three: Path, capsys: Any) -> None:
    code, told = verify(without(copied, "3"), three, capsys)
    assert code == 1
    assert "does not fit: the fold 3 was left out" in told


def test_a_changed_score_in_one_fold_is_named(copied: Run, three: Path, capsys: Any) -> None:
    scores = copied.scores()
    scores.loc[scores["fold"] == "8", "score"] *= -1
    code, told = verify(rewritten(copied, scores=scores), three, capsys)
    assert code == 1
    assert "does not fit: fold 8: auroc of brightness on Digits, all but class 8" in told
    assert "fold 3" not in told


def test_records_without_a_fold_that_run_json_names_are_refused(copied: Run) -> None:
    fewer = copied.records[copied.records["fold"] != "3"]
    with pytest.raises(
        InvalidData, match=r"lacks folds that run\.json names, or has others: 0, 3, 8"
    ):
        rewritten(copied, records=fewer)


def test_equal_runs_compare_equal_and_a_changed_fold_is_found(copied: Run, folded: Run) -> None:
    assert compare(folded, copied).changes == ()
    scores, records = copied.scores(), copied.records.copy()
    changed = records["fold"].eq("8") & records["detector"].eq("brightness")
    scores.loc[scores["fold"].eq("8") & scores["detector"].eq("brightness"), "score"] *= -1
    records.loc[changed, "auroc"] = 1 - records.loc[changed, "auroc"]
    found = compare(folded, rewritten(copied, scores=scores, records=records)).changes
    assert {change.name[0] for change in found} == {"Digits, class 8"}


def test_the_leaderboard_averages_accepted_id_images_over_folds_before_runs(folded: Run) -> None:
    (board,) = read_leaderboard([folded.directory.parent]).boards
    kept = folded.records[folded.records["ood_dataset"] == ""]
    for standing in board.standings:
        own = kept[kept["detector"] == standing.entry.detector]
        runs = own.groupby("seed", dropna=False)["acc95"].mean()
        assert standing.accepted.mean == pytest.approx(runs.mean())
        assert standing.accepted.std == pytest.approx(runs.std(), nan_ok=True)


def test_the_leaderboard_has_a_column_for_each_fold(folded: Run) -> None:
    (board,) = read_leaderboard([folded.directory.parent]).boards
    assert board.name == "three"
    titles = [f"{title} / {ood}" for title, ood in _pairs(folded)]
    assert sorted(board.sets) == sorted(titles)
    ood = folded.records[folded.records["ood_dataset"] != ""]
    means = ood.groupby("detector")["auroc"].mean()
    for standing in board.standings:
        assert standing.auroc.mean == pytest.approx(means[standing.entry.detector])
        assert standing.auroc.low < standing.auroc.mean < standing.auroc.high


def _pairs(run: Run) -> list[tuple[str, str]]:
    ood = run.records[run.records["ood_dataset"] != ""]
    return list(ood[["id_dataset", "ood_dataset"]].drop_duplicates().itertuples(index=False))


def test_the_page_has_the_table_of_folds_and_says_where_plots_are(folded: Run) -> None:
    page = run_page(folded)
    assert "spread over folds" in page
    assert "oodbench report RUN --fold NAME shows them" in page
    assert "Digits, class 3" in run_page(read_fold(folded.directory, "3"))


def test_commands_of_one_fold_ask_which(folded: Run, capsys: Any) -> None:
    assert main(["plot", str(folded.directory)]) == 2
    assert "has the folds 0, 3, 8; name one by --fold" in capsys.readouterr().err
    assert main(["report", str(folded.directory), "--fold", "5"]) == 2
    assert "'5' is no fold of the run" in capsys.readouterr().err


def test_weights_of_a_fold_are_chosen_by_their_job(
    folded: Run, tmp_path: Path, capsys: Any
) -> None:
    assert main(["export", str(folded.directory), str(tmp_path / "weights"), "--fold", "3"]) == 2
    assert "choose weights by --jobs '*, fold 3'" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


def test_tables_of_measures_are_computed_from_each_folds_scores(folded: Run, capsys: Any) -> None:
    metrics = ["--metrics", "aupr_ood_balanced"]
    assert main(["table", str(folded.directory), "--format", "csv", *metrics]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("all but class" in line for line in lines) == 6
    assert main(["table", str(folded.directory), "--bootstrap", "20"]) == 0


def test_detectors_of_no_classifier_are_named_once_a_run(folded: Run) -> None:
    assert list(folded.info["unsuited"]) == ["confidence"]
    assert "confidence" not in set(folded.records["detector"])


def test_tuning_takes_one_definition(three: Path, capsys: Any) -> None:
    command = ["tune", "--benchmark", str(three), "--detectors", "brightness"]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "has folds; name what one is made of: --id 'digits[0]'" in told


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ('digit = ["0", "0"]', "'digit' needs different values, at least one"),
        ("digit = []", "'digit' needs different values, at least one"),
        ('other = ["0"]', r"each has an ID set of its own; 'digits\[{digit}\]' lacks {other}"),
        ('digit = ["0"]\nother = ["1"]', r"has 2 keys \(digit, other\); name one"),
        ("digit = [0]", "key 'folds"),
        ('digit = "0"', r"key 'folds\.digit' should be a valid list"),
        ('digit = ["12"]', r"'12' in 'digits\[12\]' is no class; 'digits' has the classes 0-9"),
        ('digit = ["0,1", "1,0"]', "the folds 0,1 and 1,0 have the ID set Digits, classes 0, 1"),
    ],
)
def test_folds_that_cannot_be_run_are_refused(
    three: Path, tmp_path: Path, changed: str, complaint: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(three.read_text().replace('digit = ["0", "3", "8"]', changed))
    with pytest.raises(UserError, match=complaint):
        start(path, tmp_path)


def test_leaving_one_class_out_trains_a_classifier_for_each_fold(tmp_path: Path) -> None:
    path = tmp_path / "leave-one-out.toml"
    path.write_text(
        'name = "leave-one-out"\nid = "digits[!{digit}]"\nood = ["digits[{digit}]"]\n'
        'classifier = "preact-resnet"\nimages_per_set = 60\ncalibration_images = 50\n'
        '[parameters.preact-resnet]\nepochs = 1\nwidth = 4\n[folds]\ndigit = ["1", "8"]\n'
    )
    run = start(path, tmp_path, detectors=["msp"], seeds=1)
    titles = sorted(title for title in run.info["jobs"].values() if title.startswith("train"))
    assert titles == [f"train preact-resnet (seed 0), fold {fold}" for fold in ("1", "8")]
    assert run.records.loc[run.records["ood_dataset"] != "", "oscr"].notna().all()
    assert list(run.predictions()["fold"].unique()) == ["1", "8"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["folds"]["8"]["artifacts"]
    assert (
        "leave-one-out, classifier preact-resnet (accuracy"
        in (tmp_path / "run" / "table.md").read_text()
    )
