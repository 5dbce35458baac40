"""The template works as any third-party package does."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OODBENCH = Path(sysconfig.get_path("scripts")) / "oodbench"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return a copy of the template, outside the project."""
    folder = tmp_path_factory.mktemp("home") / "my-detector"
    shutil.copytree(ROOT / "plugins" / "template", folder)
    return folder


@pytest.fixture(scope="module")
def environment(copied, tmp_path_factory):
    """Install the copy into a folder of its own; return the environment variables to find it."""
    site = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")  # builds without a package registry
    subprocess.run([*command, "--no-deps", "--target", site, copied], check=True)
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


def run(*command, cwd, env):
    """Run a command in a process of its own and return what it prints."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_test_passes(copied, environment):
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "tests"]
    assert " passed" in run(*command, cwd=copied, env=environment)


def test_it_is_listed(copied, environment):
    printed = run(OODBENCH, "list", "detectors", "--json", cwd=copied, env=environment)
    found = {row["name"]: row for row in json.loads(printed)["detectors"]}
    assert found["nearest-mean"]["plugin"] == "oodbench-template 0.1.0"
    assert found["nearest-mean"]["needs"] == ["features"]


def test_it_runs_on_digits(environment, tmp_path):
    command = (
        "run --id digits --detectors nearest-mean --ood uniform "
        "--set preact-resnet.epochs=4 --engine inline --data data --store store --out run"
    )
    run(OODBENCH, *command.split(), cwd=tmp_path, env=environment)
    with (tmp_path / "run" / "records.csv").open(newline="") as file:
        rows = {row["ood_dataset"]: row for row in csv.DictReader(file)}
    assert rows["Uniform"]["status"] == "ok"
    assert float(rows["Uniform"]["auroc"]) > 0.8
