"""Check what a run leaves behind: that it is read as it was written, and never half."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import info_of

from oodbench.errors import InvalidData, UserError
from oodbench.report.merging import combine
from oodbench.results.columns import RECORD, records_frame
from oodbench.results.parts import Parts, write_parts
from oodbench.results.run import read_run, write_run

INFO = info_of(["ganad", "NaN"], ["glyphs", "noise"], wall_seconds=1.5)
NAMES = {"id_dataset": "digits", "classifier": "resnet", "classifier_seed": 0}


@pytest.fixture
def records() -> pd.DataFrame:
    return records_frame(
        [
            {**NAMES, "ood_dataset": "", "detector": "ganad", "seed": 3, "acc95": 0.1 + 0.2},
            {
                **NAMES,
                "ood_dataset": "glyphs",
                "detector": "ganad",
                "seed": 3,
                "auroc": 1 / 3,
                "fpr95": np.nextafter(0.5, 1),
                "n_id": 1797,
                "n_ood": 10,
                "fit_seconds": np.nextafter(1e-9, 1),
            },
            {
                **NAMES,
                "ood_dataset": "noise",
                "detector": "NaN",
                "status": "failed",
                "error": 'ValueError: "a, b"\nsecond line\r\nthird\rfourth — ü',
            },
        ]
    )


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "detector": "ganad",
            "classifier": "resnet",
            "classifier_seed": 0,
            "seed": pd.array([3, 3, None, None], dtype="Int64"),
            "dataset": ["digits", "digits", "glyphs", "glyphs"],
            "split": ["calibration", "test", "test", "test"],
            "index": [5, 0, 0, 1],
            "score": np.array([0.1, 1e30, -1e-30, np.nextafter(1, 2)], dtype=np.float32),
        }
    )


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "classifier": ["resnet"],
            "classifier_seed": [0],
            "dataset": ["digits"],
            "split": ["test"],
            "index": [0],
            "label": [7],
            "prediction": [1],
        }
    )


@pytest.fixture
def run(
    tmp_path: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame
) -> Path:
    directory = tmp_path / "runs" / "digits"
    write_run(
        directory,
        records=records,
        scores=scores,
        predictions=predictions,
        info=INFO,
        texts={"table.md": "| a |\n"},
    )
    return directory


def test_records_are_read_as_they_were_written(run: Path, records: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(read_run(run).records, records, check_exact=True)


def test_columns_come_in_the_order_of_the_design(run: Path) -> None:
    header = (run / "records.csv").read_text().splitlines()[0]
    assert header == (
        "id_dataset,ood_dataset,detector,classifier,classifier_seed,seed,"
        "auroc,auroc_low,auroc_high,aupr_id,aupr_ood,fpr95,fpr95_ood,acc95,acc99,"
        "threshold95,threshold99,id_accuracy,oscr,aurc,n_id,n_ood,ties,fit_seconds,score_seconds,status,error"
    )


def test_scores_keep_every_bit_and_their_dtype(run: Path, scores: pd.DataFrame) -> None:
    found = read_run(run).scores()
    assert found["score"].dtype == np.float32
    assert found["score"].tolist() == scores["score"].tolist()
    assert found["seed"].tolist() == [3, 3, pd.NA, pd.NA]
    assert found["dataset"].tolist() == scores["dataset"].tolist()
    assert list(found) == list(scores)


def test_scores_of_double_precision_stay_so(
    run: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    exact = scores.assign(score=[0.1, 0.2, 0.3, 1 / 3])
    write_run(run, records=records, scores=exact, predictions=predictions, info=INFO)
    assert read_run(run).scores()["score"].tolist() == [0.1, 0.2, 0.3, 1 / 3]


def test_a_score_takes_little_more_room_than_its_own_bits(tmp_path: Path) -> None:
    count = 100_000
    noise = np.random.default_rng(0).normal(size=count).astype(np.float32)
    frame = pd.DataFrame(
        {
            **dict.fromkeys(("detector", "classifier", "dataset", "split"), "x"),
            **dict.fromkeys(("classifier_seed", "seed"), 0),
            "index": np.sort(np.random.default_rng(1).permutation(4 * count)[:count]),
            "score": noise.astype(np.float64),  # as when another detector scores in float64
        }
    )
    path = tmp_path / "scores.parquet"
    write_parts(Parts(frame.dtypes.astype(str).to_dict(), lambda: [frame]), path)
    assert path.stat().st_size < 6 * count
    pd.testing.assert_series_equal(pd.read_parquet(path)["score"], frame["score"])


def test_predictions_are_read_as_they_were_written(run: Path, predictions: pd.DataFrame) -> None:
    found = read_run(run).predictions()
    assert found.astype(predictions.dtypes).equals(predictions)
    assert found["label"].dtype == found["index"].dtype == np.int64


def test_run_json_has_the_run_and_the_checksums_of_its_files(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    assert info["wall_seconds"] == 1.5
    assert set(info["files"]) == {
        "predictions.parquet",
        "records.csv",
        "scores.parquet",
        "table.md",
    }
    assert read_run(run).info == info
    assert sorted(path.name for path in run.iterdir()) == sorted([*info["files"], "run.json"])


def test_records_need_no_scores(run: Path) -> None:
    (run / "scores.parquet").unlink()
    assert len(read_run(run).records) == 3
    with pytest.raises(InvalidData, match=r"lacks its scores\.parquet"):
        read_run(run).scores()


def test_a_directory_without_run_json_holds_no_finished_run(run: Path, tmp_path: Path) -> None:
    (run / "run.json").unlink()
    for directory in (run, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"holds no finished run: there is no run\.json"):
            read_run(directory)


@pytest.mark.parametrize("content", ["{", "[]", '{"files": 3}', "{}"])
def test_a_foreign_run_json_is_refused(run: Path, content: str) -> None:
    (run / "run.json").write_text(content)
    with pytest.raises(InvalidData, match=r"run\.json' is damaged, or not the run\.json of a run"):
        read_run(run)


@pytest.mark.parametrize("name", ["records.csv", "scores.parquet", "predictions.parquet"])
def test_a_truncated_file_is_named(run: Path, name: str) -> None:
    with (run / name).open("r+b") as file:
        file.truncate((run / name).stat().st_size - 40)

    def read_everything() -> None:
        found = read_run(run)
        found.scores()
        found.predictions()

    with pytest.raises(InvalidData, match=rf"{name}' is not as the run left it"):
        read_everything()


def replace_records(run: Path, content: bytes) -> None:
    """Put other records into a run, with their checksum."""
    (run / "records.csv").write_bytes(content)
    info = json.loads((run / "run.json").read_text())
    info["files"]["records.csv"] = hashlib.sha256(content).hexdigest()
    (run / "run.json").write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n", "has no column id_dataset, ood_dataset, detector"),
        (b"\xff\xfe\x00", "cannot read records from"),
    ],
)
def test_a_csv_file_of_something_else_is_refused(run: Path, content: bytes, reason: str) -> None:
    replace_records(run, content)
    with pytest.raises(InvalidData, match=reason):
        read_run(run)


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [("0.30000000000000004", "high", "acc95"), (",ok,", ",fine,", "status")],
)
def test_a_value_of_a_wrong_type_is_named(run: Path, old: str, new: str, column: str) -> None:
    text = (run / "records.csv").read_text()
    replace_records(run, text.replace(old, new, 1).encode())
    with pytest.raises(InvalidData, match=rf"records\.csv', column {column}: "):
        read_run(run)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([0, 0], "has two records of one detector, set and seeds"),
        ([], "has records of 0 ID sets, not 1"),
    ],
)
def test_records_that_are_there_twice_or_not_at_all_are_refused(
    tmp_path: Path, records: pd.DataFrame, scores, predictions, rows: list[int], reason: str
) -> None:
    frames = {"scores": scores, "predictions": predictions}
    write_run(tmp_path, records=records.iloc[rows], info=INFO, **frames)
    with pytest.raises(InvalidData, match=reason):
        read_run(tmp_path)


def test_a_parquet_file_of_something_else_is_refused(
    run: Path, records: pd.DataFrame, predictions: pd.DataFrame, scores: pd.DataFrame
) -> None:
    write_run(run, records=records, scores=scores, predictions=predictions, info=INFO)
    foreign = read_run(run)
    for content, message in [
        (b"PAR1", "is damaged, or no Parquet file"),
        ((run / "predictions.parquet").read_bytes(), "it has no column detector, seed, score"),
    ]:
        (run / "scores.parquet").write_bytes(content)
        with pytest.raises(InvalidData, match=r"not as the run left it"):
            foreign.scores()
        info = json.loads((run / "run.json").read_text())
        info["files"]["scores.parquet"] = _sha256(content)
        (run / "run.json").write_text(json.dumps(info))
        with pytest.raises(InvalidData, match=message):
            read_run(run).scores()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_run_that_cannot_be_written_says_where(
    tmp_path: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the run to '.*/file': File exists$"):
        write_run(
            tmp_path / "file", records=records, scores=scores, predictions=predictions, info={}
        )


def test_a_writer_that_fails_leaves_the_old_run_alone(
    run: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_run(
            run,
            records=records.iloc[:1],
            scores=scores,
            predictions=predictions,
            info=INFO | {"wall_seconds": math.nan},
        )
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from oodbench.results import run as results

run = results.read_run(Path(sys.argv[1]))
remaining = int(sys.argv[2])
replace = Path.replace

def replace_and_die(self, target):
    global remaining
    if remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remaining -= 1
    return replace(self, target)

Path.replace = replace_and_die
results.write_run(
    run.directory,
    records=run.records.assign(auroc=0.25),
    scores=run.scores(),
    predictions=run.predictions(),
    info=run.info,
)
"""


@pytest.mark.parametrize("renamed", [0, 2])
def test_a_writer_that_is_killed_leaves_no_run_that_is_half_new(run: Path, renamed: int) -> None:
    whole = read_run(run)
    scores, predictions = whole.scores(), whole.predictions()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(run), str(renamed)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match="holds no finished run"):
        read_run(run)
    write_run(run, records=whole.records, scores=scores, predictions=predictions, info=INFO)
    assert len(read_run(run).records) == 3


@pytest.mark.parametrize(("hours", "kept"), [(1, True), (25, False)])
def test_only_what_was_abandoned_long_ago_is_removed(
    run: Path, scores: pd.DataFrame, predictions: pd.DataFrame, hours: int, kept: bool
) -> None:
    others = run / ".writing-others"
    others.mkdir()
    (others / "scores.parquet").touch()
    then = time.time() - hours * 3600
    os.utime(others, (then, then))
    records = read_run(run).records
    write_run(run, records=records, scores=scores, predictions=predictions, info=INFO)
    assert others.exists() == kept


def test_runs_are_combined_and_shared_rows_taken_once(
    run: Path, tmp_path: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions
) -> None:
    more = pd.concat([records, records.iloc[:2].assign(seed=pd.array([4, 4], dtype="Int64"))])
    # Times differ from run to run, and make no conflict.
    more["fit_seconds"] = 9.0
    other = tmp_path / "other"
    write_run(other, records=more, scores=scores, predictions=predictions, info=INFO)
    combined = combine([read_run(run), read_run(other)])
    assert combined["seed"].tolist() == [3, 3, pd.NA, 4, 4]
    pd.testing.assert_frame_equal(combined.iloc[:3], records)
    assert combined.dtypes.equals(records.dtypes)


def test_runs_that_contradict_each_other_are_not_combined(
    run: Path, tmp_path: Path, records: pd.DataFrame, scores: pd.DataFrame, predictions
) -> None:
    other = tmp_path / "other"
    changed = records.assign(auroc=[None, 0.34, None]).astype(RECORD)
    write_run(other, records=changed, scores=scores, predictions=predictions, info=INFO)
    with pytest.raises(UserError) as raised:
        combine([read_run(run), read_run(other)])
    assert str(raised.value) == (
        f"'{run}' and '{other}' have different results for ganad on glyphs (ID digits, "
        "classifier resnet, seeds 0 and 3); show them in separate tables"
    )


def test_a_record_names_what_it_is_about_and_nothing_unknown() -> None:
    with pytest.raises(KeyError, match="unknown or missing columns of a record: detector, fpr'"):
        records_frame([{**NAMES, "ood_dataset": "", "fpr": 0.5}])


def test_no_records_are_a_table_without_rows() -> None:
    records = records_frame([])
    assert list(records) == list(RECORD)
    assert records.empty


def test_a_run_in_which_everything_failed_is_written_and_read(
    tmp_path: Path, scores: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    nothing = {"scores": pd.DataFrame(columns=list(scores))}
    nothing["predictions"] = pd.DataFrame(columns=list(predictions))
    failed = {**NAMES, "ood_dataset": "", "detector": "ganad", "status": "failed"}
    write_run(tmp_path, records=records_frame([failed]), info=INFO, **nothing)
    run = read_run(tmp_path)
    assert run.records["status"].tolist() == ["failed"]
    assert run.scores().empty
    assert run.predictions().empty


def test_results_need_no_torch() -> None:
    code = (
        "import oodbench.results.run, oodbench.measures.evaluation, sys\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_gives_its_table_and_shows_it_in_a_notebook(run: Path) -> None:
    finished = read_run(run)
    table = finished.table()
    assert list(table.index) == ["ganad", "NaN"]
    assert list(table.columns) == ["glyphs", "noise"]
    assert table.loc["ganad", "glyphs"] == 1 / 3
    assert "<td>33.33</td>" in finished._repr_html_()
    assert "<td>failed</td>" in finished._repr_html_()


def test_the_table_of_a_run_has_the_measure_that_is_asked_for(run: Path) -> None:
    assert read_run(run).table("fpr95").loc["ganad", "glyphs"] == np.nextafter(0.5, 1)
    with pytest.raises(UserError, match="unknown measure 'fpr'; did you mean 'fpr95'"):
        read_run(run).table("fpr")


def test_a_mean_over_seeds_is_missing_where_one_of_them_failed(run: Path) -> None:
    finished = read_run(run)
    first = finished.records.iloc[[1]]
    failed = first.assign(seed=4, auroc=np.nan, status="failed")
    both = dataclasses.replace(finished, records=pd.concat([first, failed]))
    assert both.table().isna().all(axis=None)


def test_a_run_is_one_line_as_text(run: Path) -> None:
    shown = repr(read_run(run))
    assert shown == f"<Run '{run}': 2 detectors, digits against 2 OOD sets>"


def test_names_are_escaped_where_a_run_is_shown(run: Path) -> None:
    finished = read_run(run)
    records = finished.records.replace({"detector": {"ganad": "<script>"}})
    assert "<script>" not in dataclasses.replace(finished, records=records)._repr_html_()
