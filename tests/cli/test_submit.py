"""The commands ``submit`` and ``verify``, on a run of the tiny benchmark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from oodbench.cli import main
from oodbench.results.run import read_run, write_run


@pytest.fixture
def run(tmp_path: Path, tiny: Path, store: Path, one_cpu, capsys) -> Path:
    """Return the folder of a run."""
    folder = tmp_path / "run"
    line = f"run --benchmark {tiny} --store {store} --engine inline --detectors msp --quiet"
    assert main([*line.split(), "--out", str(folder)]) == 0
    capsys.readouterr()
    return folder


def verify(folder: Path, tiny: Path) -> int:
    pack = folder.parent / "pack.zip"
    assert main(["submit", str(folder), "--out", str(pack)]) == 0
    return main(["verify", str(pack), "--benchmark", str(tiny)])


def test_a_run_verifies_until_a_score_is_changed(run: Path, tiny: Path, capsys) -> None:
    assert verify(run, tiny) == 0
    assert "33 figures follow from the scores" in capsys.readouterr().out
    found = read_run(run)
    scores = found.scores()
    scores.loc[len(scores) - 1, "score"] = 7.0  # of a calibration image
    info = {name: value for name, value in found.info.items() if name != "files"}
    frames = {"records": found.records, "predictions": found.predictions()}
    write_run(run, scores=scores, info=info, **frames)
    assert verify(run, tiny) == 1
    assert "does not fit: acc95 of msp on" in capsys.readouterr().err


def test_a_file_that_is_not_as_the_run_left_it_is_refused(run: Path, tiny: Path, capsys) -> None:
    scores = pd.read_parquet(run / "scores.parquet")
    assert verify(run, tiny) == 0
    scores.assign(score=0.0).to_parquet(run / "scores.parquet")
    assert verify(run, tiny) == 1
    assert "is not as the run left it" in capsys.readouterr().err


def test_a_pack_cannot_name_a_benchmark_by_its_path(run: Path, tiny: Path, capsys) -> None:
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"benchmark": str(tiny)}))
    pack = run.parent / "pack.zip"
    main(["submit", str(run), "--out", str(pack)])
    assert main(["verify", str(pack)]) == 1
    assert "which is not an installed benchmark" in capsys.readouterr().err


def test_without_out_the_pack_has_the_name_of_the_run(run: Path, monkeypatch, capsys) -> None:
    shutil.copytree(run, run.parent / "named")
    monkeypatch.chdir(run.parent)
    assert main(["submit", "named"]) == 0
    assert (run.parent / "named.zip").is_file()


def test_a_pack_that_is_not_there_is_exit_code_2(tmp_path: Path, capsys) -> None:
    assert main(["verify", str(tmp_path / "no.zip")]) == 2
    assert "cannot read" in capsys.readouterr().err
