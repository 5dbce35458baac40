"""The classifiers of CIFAR-10 that ship have the accuracy that the documents state."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import oodbench_weights
from oodbench_classifiers.fast_convnet import FastConvNet

ACCURACY = {0: 93.90, 1: 94.09, 2: 93.99}
"""On all 10,000 test images, in %, in bfloat16, by seed."""

FOLDERS = {
    seed: oodbench_weights.FOLDER / f"cifar10-train-fast-convnet-seed-{seed}" for seed in ACCURACY
}


def accuracy(seed: int, count: int) -> float:
    """Return the accuracy in % on the first test images."""
    if "OODBENCH_DATA" not in os.environ:
        pytest.skip("there are no images: set OODBENCH_DATA")
    with np.load(Path(os.environ["OODBENCH_DATA"]) / "cifar10-test.npz") as pack:
        images = torch.from_numpy(pack["images"][:count]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(pack["labels"][:count])
    module = FastConvNet().build((3, 32, 32), 10)
    module.load_state_dict(load_file(FOLDERS[seed] / "model.safetensors"))
    module.to(memory_format=torch.channels_last).eval()
    correct = 0
    with torch.inference_mode():
        for part, classes in zip(images.split(250), labels.split(250), strict=True):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                features = module.features(part / 255)
            correct += int((module.head(features).argmax(1) == classes).sum())
    return 100 * correct / count


def test_they_are_of_the_recipe_and_the_seeds_that_the_benchmark_asks_for() -> None:
    assert sum((folder / "model.safetensors").stat().st_size for folder in FOLDERS.values()) < 15e6
    for seed, folder in FOLDERS.items():
        card = json.loads((folder / "card.json").read_text())
        chosen = FastConvNet(flip=True)
        assert card["origin"]["parameters"] == vars(chosen)
        assert card["origin"]["seed"] == seed
        assert card["half"]


def test_they_are_right_about_most_images() -> None:
    assert accuracy(0, 250) > 88


@pytest.mark.slow
@pytest.mark.parametrize("seed", ACCURACY)
def test_their_accuracy_is_as_stated(seed: int) -> None:
    assert accuracy(seed, 10_000) == pytest.approx(ACCURACY[seed], abs=0.1)
