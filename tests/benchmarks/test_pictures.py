"""A run on many pictures takes bounded memory, and decodes nearly as fast as pictures can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "pictures.py"


def measure(folder: Path, *arguments: str) -> dict[str, float]:
    path = folder / "figures.json"
    command = [sys.executable, str(SCRIPT), *arguments, "--json", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_few_pictures_are_measured(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    figures = measure(tmp_path, "--count", "60", "--id-images", "200", "--folder", str(kept))
    assert (figures["pictures"], figures["processes"]) == (60, 1)
    assert figures["share"] == pytest.approx(
        figures["prepared_per_second"] / figures["bare_per_second"], rel=0.02
    )
    assert 50 < figures["peak_mebibytes"] < 4096
    assert len(list((kept / "ood").iterdir())) == 60


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_hundred_thousand_pictures_take_bounded_memory(tmp_path: Path, processes: int) -> None:
    if processes > (os.cpu_count() or 1):
        pytest.skip("there is one CPU")
    figures = measure(tmp_path, "--count", "100000", "--processes", str(processes))
    assert figures["peak_mebibytes"] < 2048
    assert figures["share"] > 0.8
