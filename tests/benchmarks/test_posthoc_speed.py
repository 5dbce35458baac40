"""The script that measures all post-hoc detectors against pytorch-ood's own evaluation of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed" / "posthoc.py"
CHOSEN = (
    "msp,temperature-scaling,mahalanobis,knn,react,gradnorm,graduncertainty,odin,"
    "mahalanobis-odin,rankfeat,multi-mahalanobis,gram,nac-ue"
)
SETTING = ["--id", "digits", "--images", "50", "--epochs", "1", "--detectors", CHOSEN]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """Return the figures of a small setting, as the script writes them."""
    path = tmp_path_factory.mktemp("speed") / "figures.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("OODBENCH_DATA", None)
    command = [sys.executable, str(SCRIPT), *SETTING, "--json", str(path)]
    subprocess.run(
        command,
        check=True,
        env=environment,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    )
    return json.loads(path.read_text())


def test_scores_are_those_of_pytorch_ood(figures) -> None:
    assert figures["detectors"] == 13
    differences = {
        name: value for name, value in figures.items() if name.startswith("score_difference_")
    }
    differing = "gram", "graduncertainty", "nac-ue", "rankfeat", "temperature-scaling"
    for name in differing:  # computed otherwise, as results/certified.md says
        del differences[f"score_difference_{name}"]
    assert max(differences.values()) < 1e-5
    assert figures["largest_auroc_difference"] < 0.005


def test_images_are_passed_by_those_alone_that_have_to(figures) -> None:
    scored = 6 * 50 + 1000
    passes = {"odin": 2, "mahalanobis-odin": 2}
    probed = 7 * (256 // 7)  # of the ID test set, the calibration images and 5 OOD sets
    read_layers = 4  # whose probes pass images, since layers are reduced again
    fitted_on = 1000  # images that nac-ue passes to be fitted, with gradients
    resumed = 2 * (scored + probed)  # rankfeat computes what follows two layers
    looked_into = 18 * 22  # images of noise for each job that reads layers
    assert figures["images_forwarded"] == pytest.approx(
        figures["distinct_images"]
        + sum(passes.values()) * (scored + probed)
        + read_layers * probed
        + fitted_on
        + resumed
        + looked_into,
        abs=100 * 2,
    )


def test_pytorch_ood_passes_them_for_each_detector(figures) -> None:
    scored = 5 * 2 * 50
    # one pass for each detector, two for those that move images, one for each of four layers
    assert figures["images_forwarded_pytorch_ood"] > 13 * scored + 7 * 1201


def test_the_ratio_is_that_of_the_medians(figures) -> None:
    ratio = figures["seconds_pytorch_ood"] / figures["seconds_run"]
    assert figures["ratio"] == pytest.approx(ratio, rel=0.01)
    assert figures["threads"] >= 1
    assert {"cpu", "system", "torch", "pytorch-ood"} <= figures.keys()
