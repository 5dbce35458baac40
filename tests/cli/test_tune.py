"""The command ``tune`` opens no test image, and leaves a definition that ``run`` takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from oodbench.cli import main

SEALED = """
import numpy as np
from oodbench.contracts import Dataset, Detector, ImageSet, Info, Need, hookimpl


def refuse(split):
    if split == "test":
        raise AssertionError("a test image was opened")


class Sealed(Dataset):
    info = Info(name="sealed", title="Sealed", summary="Digits whose test split raises.")
    shape = (1, 8, 8)
    num_classes = 10

    def files(self, root, split):
        refuse(split)
        return ()

    def load(self, root, split):
        from sklearn.datasets import load_digits

        refuse(split)
        digits = load_digits()
        return ImageSet(np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target)


class SealedOutliers(Sealed):
    info = Info(name="sealed-outliers", summary="Noise whose test split raises.")

    def load(self, root, split):
        refuse(split)
        noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
        return ImageSet(noise, np.full(200, -1))


class Contrast(Detector):
    info = Info(name="contrast-or-not", summary="The contrast of the image; the wrong sign first.")
    needs = frozenset({Need.INPUTS})
    space = {"sign": (-1.0, 1.0)}

    def __init__(self, *, sign: float = 1.0):
        self.sign = sign

    def score(self, batch):
        return self.sign * batch.inputs.double().std((1, 2, 3))


@hookimpl
def oodbench_datasets():
    return [Sealed, SealedOutliers]


@hookimpl
def oodbench_detectors():
    return [Contrast]
"""

BENCHMARK = """
name = "sealed"
id = "sealed"
ood = ["sealed-outliers"]
classifier = "preact-resnet"
calibration_images = 100
[parameters.preact-resnet]
epochs = 1
width = 4
"""


@pytest.fixture
def oodbench(tmp_path: Path, tiny: Path, store: Path, one_cpu, capsys, monkeypatch):
    """Return a function that runs a command line and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OODBENCH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(line: str) -> tuple[int, str, str]:
        line = line.replace("TINY", f"--benchmark {tiny} --store {store} --engine inline")
        return main(shlex.split(line)), *capsys.readouterr()

    return call


@pytest.fixture
def sealed(install, tmp_path: Path) -> None:
    """Install data sets whose test splits raise, and define a benchmark of them."""
    install("sealed_sets", SEALED)
    (tmp_path / "sealed.toml").write_text(BENCHMARK)


def test_no_test_image_is_opened(oodbench, sealed) -> None:
    code, output, errors = oodbench(
        "tune --benchmark sealed.toml --detectors odin,knn,react,contrast-or-not --images 60 "
        "--engine inline --json --quiet"
    )
    assert (code, errors) == (0, "")
    found = json.loads(output)["detectors"]
    assert set(found) == {"odin", "knn", "react", "contrast-or-not"}
    assert all(each["best"]["mean_auroc"] > 0 for each in found.values())
    code, output, errors = oodbench("run --benchmark sealed.toml --detectors msp --out run")
    assert code != 0
    assert "a test image was opened" in output + errors


def test_the_next_command_runs_with_what_was_found(oodbench, sealed, tmp_path: Path) -> None:
    line = "tune TINY --detectors contrast-or-not --images 60 --out best/tuned.toml"
    code, output, _ = oodbench(line)
    assert code == 0
    assert "No test image was opened." in output
    *_, place, command = output.splitlines()
    assert place == "best/tuned.toml"
    assert command.startswith(
        "oodbench run --benchmark best/tuned.toml --detectors contrast-or-not"
    )
    assert f"#     {command}" in (tmp_path / "best" / "tuned.toml").read_text()
    assert oodbench(f"{command.removeprefix('oodbench ')} --out run --quiet")[0] == 0
    request = json.loads((tmp_path / "run" / "run.json").read_text())["request"]
    assert request["detectors"] == {"contrast-or-not": {"sign": -1.0}}
    assert request["ood"] == ["uniform", "photo-patches"]


def test_definitions_go_to_a_folder_of_their_own(oodbench, tmp_path: Path) -> None:
    assert oodbench("tune TINY --detectors msp --images 60")[0] == 0
    (found,) = (tmp_path / "results" / "tuned").iterdir()
    assert found.name.startswith("tiny-")


def test_a_search_that_changes_nothing_is_warned_of(oodbench, sealed, tmp_path, tiny) -> None:
    best = "[parameters.contrast-or-not]\nsign = -1.0\n"
    (tmp_path / "best.toml").write_text(f"{tiny.read_text()}{best}")
    line = "tune TINY --benchmark best.toml --detectors contrast-or-not --images 60"
    code, output, _ = oodbench(line)
    assert code == 0
    assert "warning: contrast-or-not: the search changed nothing: the default is the best" in output


def test_what_has_nothing_to_tune_is_named(oodbench) -> None:
    line = "tune TINY --detectors maxlogit,msp,energy --set msp.temperature=1 --images 60"
    code, output, _ = oodbench(line)
    assert code == 0
    assert "nothing to tune: maxlogit, msp" in output


def test_detectors_that_need_a_classifier_are_named_where_there_is_none(oodbench, sealed) -> None:
    line = "tune --benchmark sealed.toml --classifier none --detectors energy,contrast-or-not"
    code, output, _ = oodbench(f"{line} --images 60 --engine inline")
    assert code == 0
    assert "left out: energy: needs logits of a classifier, and there is none" in output


# What is wrong, and what the one sentence must say.
MISTAKES = {
    "a test set": (
        "tune TINY --detectors msp --validation-outliers uniform",
        "'uniform' is the ID set or an OOD test set of benchmark 'tiny'; tune against another one",
    ),
    "an unknown set": (
        "tune TINY --detectors msp --validation-outliers gausian",
        "unknown data set 'gausian'; did you mean 'gaussian'",
    ),
    "nothing to tune": (
        "tune TINY --detectors maxlogit",
        "none of these detectors has parameters to tune",
    ),
    "no settings": ("tune TINY --detectors msp --samples 0", "--samples must be at least 1, not 0"),
    "no images": ("tune TINY --detectors msp --images 0", "at least 1 image of each set, not 0"),
    "no TOML file": (
        "tune TINY --detectors msp --out best.json",
        "'best.json' does not end in .toml",
    ),
    "a file in the way": ("tune TINY --detectors msp --out taken.toml", "'taken.toml' exists"),
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_with_one_sentence(oodbench, tmp_path, line, message) -> None:
    (tmp_path / "taken.toml").touch()
    code, output, errors = oodbench(line)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
