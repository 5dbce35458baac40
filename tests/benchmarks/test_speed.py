"""The script that measures a run against a bare forward pass and against pytorch-ood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "run.py"
SETTING = ["--id", "digits", "--images", "50", "--epochs", "3", "--repetitions", "1"]


def keep_to_one_cpu() -> None:
    """Keep a process to one CPU: two threads wait for each other on a busy machine."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """Return the figures of a small setting, as the script writes them."""
    path = tmp_path_factory.mktemp("speed") / "figures.json"
    command = [sys.executable, str(SCRIPT), *SETTING, "--json", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("OODBENCH_DATA", None)
    subprocess.run(
        command, check=True, env=environment, capture_output=True, preexec_fn=keep_to_one_cpu
    )
    return json.loads(path.read_text())


def test_a_run_passes_every_image_once(figures) -> None:
    # the training images of digits, and 50 of the ID test set and of each of its five OOD sets
    assert figures["distinct_images"] == 1201 + 6 * 50
    held_out = 200  # validation images, which none of the detectors asks for
    assert figures["images_forwarded"] == figures["distinct_images"] - held_out
    assert figures["images_forwarded_bare"] == figures["distinct_images"]
    # logits and features of the ID test set and an OOD set, for each OOD set, and training features
    assert figures["images_forwarded_pytorch_ood"] == 5 * 2 * 100 + 1201 - held_out


def test_both_measure_the_same(figures) -> None:
    assert figures["detectors"] == 10
    assert figures["largest_auroc_difference"] < 0.005


def test_ratios_are_those_of_the_medians(figures) -> None:
    run, bare = figures["seconds_run"], figures["seconds_bare"]
    assert figures["ratio_run_over_bare"] == pytest.approx(run / bare, rel=0.01)
    other = figures["seconds_pytorch_ood"]
    assert figures["ratio_pytorch_ood_over_run"] == pytest.approx(other / run, rel=0.01)
    assert figures["seconds_run_min"] <= run <= figures["seconds_run_max"]


def test_figures_say_what_was_measured_on_which_machine(figures) -> None:
    assert figures["id"] == "digits"
    assert figures["images_per_set"] == 50
    assert figures["precision"] == "float32"
    assert figures["repetitions"] == 1
    assert figures["threads"] >= 1
    assert figures["cpus"] >= 1
    assert 100 < figures["peak_memory_mib"] < 3 * 1024
    assert {"cpu", "system", "torch", "pytorch-ood", "scikit-learn"} <= figures.keys()
    assert all(isinstance(value, int | float | str) for value in figures.values())
