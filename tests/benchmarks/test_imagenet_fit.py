"""The script that measures fits on as many features as ImageNet has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "imagenet_fit.py"
SETTING = ["--images", "20000", "--width", "64", "--classes", "10", "--threads", "1"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float | str], Path]:
    """Return the figures of a small setting, as the script writes them, and its folder."""
    folder = tmp_path_factory.mktemp("features")
    path = tmp_path_factory.mktemp("figures") / "figures.json"
    command = [sys.executable, str(SCRIPT), *SETTING, "--detectors", "knn,vim"]
    subprocess.run(
        [*command, "--folder", str(folder), "--json", str(path)],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    return json.loads(path.read_text()), folder


def test_memory_and_time_are_measured(measured) -> None:
    figures, _ = measured
    assert figures["images"] == 20000
    assert figures["features_gib"] == pytest.approx(20000 * 64 * 4 / 2**30, abs=1e-3)
    assert figures["state_mib_knn"] == pytest.approx(20000 * 64 * 4 / 2**20, abs=0.1)
    for name in ("knn", "vim"):
        assert 50 < figures[f"peak_memory_mib_{name}"] < 4096
        assert figures[f"seconds_fit_{name}"] > 0


def test_the_features_are_deleted(measured) -> None:
    assert list(measured[1].iterdir()) == []


def test_a_folder_that_is_too_small_is_named(tmp_path) -> None:
    command = [sys.executable, str(SCRIPT), "--images", str(10**12), "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "name another one with --folder" in done.stderr
