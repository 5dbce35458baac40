"""The package offers its few names, and imports what is slow when they are asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sample_detectors import Brightness

import oodbench
from oodbench.contracts import Batch, PluginError


@pytest.mark.parametrize("name", oodbench.__all__)
def test_every_name_that_is_offered_is_there(name: str) -> None:
    assert getattr(oodbench, name).__name__ == name


def test_every_name_that_is_offered_is_completed() -> None:
    assert set(oodbench.__all__) <= set(dir(oodbench))
    assert all(f"`{name}`" in str(oodbench.__doc__) for name in oodbench.__all__ if name != "run")


@pytest.mark.parametrize("package", ["oodbench.contracts", "oodbench.measures", "oodbench.testing"])
def test_every_public_name_of_a_package_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_measures_are_imported_by_name() -> None:
    program = (
        "import sys; from oodbench.measures import auroc; "
        "print({'torch', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules), auroc([1], [2]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set() 1.0\n"


def test_anyone_can_make_a_batch() -> None:
    images, labels = torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])
    batch = Batch(labels, inputs=images, features=torch.ones(2, 3))
    assert len(batch) == 2
    assert batch.inputs is images
    with pytest.raises(PluginError, match=r"uses batch\.logits"):
        _ = batch.logits


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
    with pytest.raises(AttributeError, match="module 'oodbench' has no attribute 'ran'"):
        _ = oodbench.ran


def test_importing_the_package_imports_nothing_slow() -> None:
    program = "import sys, oodbench; print({'torch', 'pandas', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"
