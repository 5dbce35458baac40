"""The code that a stage computes with is found by its imports, wherever it lies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.identity.stagecode import BORDER, stage_files
from oodbench.store.paths import PACKAGE

ROOT = PACKAGE.parent
STAGES = tuple(
    sorted(
        path.stem
        for path in (PACKAGE / "stages").glob("*.py")
        if "\ndef run(spec" in path.read_text(encoding="utf-8")
    )
)
"""The kinds of job, each a module with a function ``run``."""


def modules(stage: str) -> set[str]:
    """Return the modules whose code counts in the keys of a kind of job, within the harness."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in stage_files(stage)
    }


@pytest.mark.parametrize(
    ("stage", "some"),
    [
        ("prepare", {"stages.prepare", "images.geometry", "images.userdata", "images.sources"}),
        ("train", {"stages.train", "stages.teaching", "contracts.classifier", "images.geometry"}),
        ("generate", {"stages.generate", "stages.fit", "stages.prepare", "contracts.dataset"}),
        ("extract", {"stages.extract", "stages.modules", "stages.selection", "images.geometry"}),
        ("reduce", {"stages.reduce", "stages.passing", "stages.network", "contracts.layers"}),
        ("fit", {"stages.fit", "stages.stream", "contracts.data", "contracts.detector"}),
        ("score", {"stages.score", "stages.fit", "stages.forwards", "contracts.detector"}),
        ("probe", {"stages.probe", "stages.score", "stages.fit", "stages.stream"}),
        ("evaluate", {"stages.evaluate", "measures.evaluation", "measures.metrics"}),
    ],
)
def test_the_code_of_a_stage_is_what_it_imports_and_what_that_imports(stage, some) -> None:
    assert some <= modules(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_what_determines_no_byte_of_an_artifact_does_not_count(stage: str) -> None:
    beyond = ("errors", "hardware", "contracts.info", "identity", "registry", "results", "store")
    assert not [name for name in modules(stage) if name.startswith(beyond)]


def test_of_the_contracts_those_count_that_a_stage_names() -> None:
    assert not modules("fit") & {"contracts.__init__", "contracts.figure", "contracts.benchmark"}


def test_every_module_of_the_stages_counts_in_one_of_them() -> None:
    there = {f"stages.{path.stem}" for path in (PACKAGE / "stages").glob("*.py")}
    assert there <= set().union(*map(modules, STAGES))


@pytest.mark.parametrize("name", BORDER)
def test_the_border_names_modules_that_are_there(name: str) -> None:
    place = PACKAGE.joinpath(*name.split("."))
    assert place.is_dir() or place.with_suffix(".py").is_file()


MOVED = {
    "oodbench.stages.selection": "oodbench.measures.chosen",
    "oodbench.stages.stream": "oodbench.streaming.arrays",
    "oodbench.contracts.data": "oodbench.contracts.batches",
    "oodbench.images.geometry": "oodbench.geometry",
}
"""Modules that a stage computes with, and where else they could lie."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the harness and of its plugins, which a test may change."""
    for folder in ("oodbench", "plugins", "benchmarks"):
        unneeded = shutil.ignore_patterns("__pycache__", "*-seed-[1-9]", "mnist-*")
        shutil.copytree(ROOT / folder, tmp_path / "checkout" / folder, ignore=unneeded)
    return tmp_path / "checkout"


MAIN = "import sys; from oodbench.cli import main; sys.exit(main())"


def run(checkout: Path, command: str) -> str:
    """Run a command of a copy and return what it prints."""
    places = os.pathsep.join([str(checkout), str(checkout / "plugins")])
    environment = {**os.environ, "PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-c", MAIN, *command.split()]
    options = {"cwd": checkout, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run(arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def move(checkout: Path, old: str, new: str) -> None:
    source, target = (checkout.joinpath(*name.split(".")).with_suffix(".py") for name in (old, new))
    target.parent.mkdir(exist_ok=True)
    source.rename(target)
    for path in checkout.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(rf"\b{re.escape(old)}\b", new, text), encoding="utf-8")


def test_a_store_stays_valid_when_modules_are_moved(checkout: Path) -> None:
    asked = "--id digits --detectors energy,brightness --images 20 --device cpu --store store"
    run(checkout, f"run {asked} --engine inline --quiet --out out")
    before = json.loads(run(checkout, f"plan {asked} --json"))
    for old, new in MOVED.items():
        move(checkout, old, new)
    after = json.loads(run(checkout, f"plan {asked} --json"))
    assert before == after
    assert after["to_run"] == []
