"""A new plugin is the template under another name."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from oodbench.errors import UserError
from oodbench.registry.scaffold import write_plugin

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_template_is_written(tmp_path):
    folder = write_plugin("deep-sea", tmp_path)
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {"README.md", "pyproject.toml", "deep_sea.py", "tests/test_contract.py"}


def test_nothing_of_the_name_of_the_template_is_left(tmp_path):
    folder = write_plugin("deep-sea", tmp_path)
    for path in folder.rglob("*.*"):
        text = path.read_text(encoding="utf-8").lower()
        assert "template" not in text
        assert "nearest-mean" not in text
        assert "nearestmean" not in text


def test_the_distribution_names_the_module_of_the_plugin(tmp_path):
    folder = write_plugin("deep-sea", tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "deep-sea"
    assert project["entry-points"]["oodbench"] == {"deep-sea": "deep_sea"}


def test_it_passes_its_own_test(tmp_path):
    folder = write_plugin("deep-sea", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Detector", "is not a valid plugin name"),
        ("../evil", "is not a valid plugin name"),
        ("2nd", "is not a valid plugin name"),
        ("class", "is not a valid plugin name"),
        ("energy", "there is a detector called 'energy' already"),
        ("numpy", "there is a Python package called 'numpy' already"),
    ],
)
def test_a_name_that_would_not_work_is_refused(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        write_plugin(name, tmp_path, frozenset({"energy"}))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "deep-sea").mkdir()
    with pytest.raises(UserError, match="is there already"):
        write_plugin("deep-sea", tmp_path)
    assert list((tmp_path / "deep-sea").iterdir()) == []
