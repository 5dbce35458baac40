"""The plugin announces every data set and does no work."""

import subprocess
import sys

import pytest

from oodbench_datasets import oodbench_datasets

TITLES = {
    "mnist": "MNIST",
    "fashionmnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist-letters": "EMNIST-Letters",
    "omniglot": "Omniglot",
    "notmnist": "notMNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "lsun": "LSUN",
    "textures": "Textures",
    "tinyimagenet": "TinyImageNet",
    "tinyimagenet-1k": "TinyImageNet-1k",
    "uniform": "Uniform",
    "gaussian": "Gaussian",
    "digits": "Digits",
    "glyphs": "Glyphs",
    "photo-patches": "PhotoPatches",
    "rotated-digits": "RotatedDigits",
}


def test_data_sets_are_named_as_in_the_literature():
    assert {cls.info.name: cls.info.label for cls in oodbench_datasets()} == TITLES


@pytest.mark.parametrize("module", ["torch", "torchvision", "pytorch_ood", "sklearn", "matplotlib"])
def test_announcing_imports_nothing_slow(module):
    program = f"import sys, oodbench_datasets; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
