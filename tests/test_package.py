"""The package offers its few names, and imports what is slow when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sample_detectors import Brightness

import oodbench


@pytest.mark.parametrize("name", oodbench.__all__)
def test_every_name_that_is_offered_is_there(name: str) -> None:
    assert getattr(oodbench, name).__name__ == name


def test_a_string_serves_wherever_a_path_does(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    places = {"store": "~/store", "out": "~/run", "data": "~/data"}
    options = {"detectors": [Brightness()], "engine": "inline", "device": "cpu"}
    made = oodbench.run(benchmark=tiny, **places, **options)
    assert made.directory == tmp_path / "run"
    assert {path.name for path in tmp_path.iterdir()} >= {"run", "store"}
    for folder in ("~/run", str(tmp_path / "run"), tmp_path / "run"):
        assert oodbench.read_run(folder).records.equals(made.records)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'oodbench' has no attribute 'runs'"):
        _ = oodbench.runs


def test_importing_the_package_imports_nothing_slow() -> None:
    program = "import sys, oodbench; print({'torch', 'pandas', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"
