"""Commands that read runs work on those of scores computed elsewhere, or say why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oodbench.cli import main
from oodbench.runs.evaluated import evaluate


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of scores of two detectors, without calibration scores."""
    random = np.random.default_rng(0)
    id_scores, ood_scores = (
        {name: random.normal(shift, 1, 50) for name in ("mine", "other")} for shift in (0, 2)
    )
    out = tmp_path_factory.mktemp("runs") / "given"
    evaluate(id_scores, {"far": ood_scores}, larger_is="ood", out=out)
    return out


@pytest.fixture
def command(given: Path, tmp_path: Path, monkeypatch, capsys):
    """Return a function that runs a command line and returns exit code and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(line: str) -> tuple[int, str]:
        code = main(line.replace("RUN", str(given)).split())
        return code, capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    "line",
    [
        "table RUN --metrics auroc,augrc10",
        "compare RUN RUN",
        "leaderboard RUN --out site",
        "recompute RUN",
        "report RUN --out page.html --quiet",
        "submit RUN --out given.zip",
        "plot RUN seed-norms --out figures --quiet",
    ],
)
def test_commands_on_scores_serve_them(command, line: str) -> None:
    assert command(line)[0] == 0


def test_without_calibration_scores_a_table_has_no_row_of_accepted_images(given: Path) -> None:
    text = (given / "table.md").read_text()
    assert "ID accepted" not in text
    assert "AUROC in % on each OOD set\n\n| Test set" in text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("verify RUN", "is a run's folder, not a pack; make one: oodbench submit "),
        ("curves RUN --store my/store", "the store 'my/store' has no training curve of this run"),
        ("export RUN weights", "the run has no training called '*'"),
        ("export RUN --arrays arrays", "the run was made of scores"),
        ("export RUN --guard mine guard", "the run was made of scores"),
        ("run --locked RUN --out again", "scores computed elsewhere, cannot be repeated"),
    ],
)
def test_commands_on_networks_say_that_there_are_none(command, line: str, reason: str) -> None:
    code, errors = command(line)
    assert (code, errors.count("\n")) == (2, 1)
    assert reason in errors
