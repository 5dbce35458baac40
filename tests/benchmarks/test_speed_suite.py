"""The suite of speed scripts: ratios beside those of the last time."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture(scope="module")
def suite():
    """Return the module, which is called as all of its kind are."""
    spec = importlib.util.spec_from_file_location("speed_suite", FOLDER / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_what_is_a_fifth_worse_is_marked(suite) -> None:
    smaller, larger = "all measures of ten million scores / one sort", "pytorch-ood / a run of"
    larger = next(
        text
        for each in suite.SUITE
        for name, text in each.figures.items()
        if name.startswith("+") and text.startswith(larger)
    )
    before = {smaller: 2.0, larger: 2.0}
    rows = {row[0]: row[1:] for row in suite.compare({smaller: 2.5, larger: 2.5}, before)}
    assert rows[smaller] == (2.5, 2.0, "+25%", "worse")
    assert rows[larger] == (2.5, 2.0, "+25%", "")
    rows = {row[0]: row[1:] for row in suite.compare({smaller: 1.5, larger: 1.5}, before)}
    assert rows[smaller] == (1.5, 2.0, "-25%", "")
    assert rows[larger] == (1.5, 2.0, "-25%", "worse")


def test_a_figure_without_one_before_is_shown_alone(suite) -> None:
    assert list(suite.compare({"new": 1.0}, {})) == [("new", 1.0, None, "", "")]


def test_a_figure_of_nothing_is_compared_with_nothing(suite) -> None:
    name = "a small job under Ray / inline"
    assert list(suite.compare({name: 1.0}, {name: 0.0})) == [(name, 1.0, 0.0, "", "")]
    assert list(suite.compare({name: 0.0}, {name: 1.0})) == [(name, 0.0, 1.0, "", "")]


def test_scripts_have_the_figures_that_are_compared(suite) -> None:
    for each in suite.SUITE:
        text = (FOLDER / f"{each.script}.py").read_text()
        for name in each.figures:
            assert f'"{name.lstrip("+")}"' in text, name


@pytest.mark.slow
def test_overheads_are_kept_and_compared(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER), "overheads", "--json", str(tmp_path / "speed.json")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for column in (2, 3):
        printed = subprocess.run(
            command, check=True, env=environment, capture_output=True, text=True
        ).stdout
        (line,) = [line for line in printed.splitlines() if line.startswith("oodbench list")]
        assert (
            len(line.removeprefix("oodbench list / python that does nothing").split()) >= column - 1
        )
    ((_, figures),) = json.loads((tmp_path / "speed.json").read_text()).items()
    assert figures["oodbench --help / python that does nothing"] > 1
