"""The built-in data sets."""

from __future__ import annotations

from oodbench.contracts import Dataset, hookimpl
from oodbench_datasets.arrays import Cifar10, Cifar100, Svhn
from oodbench_datasets.digits import Digits, RotatedDigits
from oodbench_datasets.glyphs import Glyphs
from oodbench_datasets.idx import EmnistLetters, FashionMnist, Kmnist, Mnist
from oodbench_datasets.imagenet import TinyImageNet1k
from oodbench_datasets.noise import Gaussian, Uniform
from oodbench_datasets.photos import PhotoPatches
from oodbench_datasets.pictures import Lsun, NotMnist, Omniglot, Textures, TinyImageNet


@hookimpl
def oodbench_datasets() -> tuple[type[Dataset], ...]:
    """Return every data set class of this package."""
    return (
        Mnist,
        FashionMnist,
        Kmnist,
        EmnistLetters,
        Omniglot,
        NotMnist,
        Cifar10,
        Cifar100,
        Svhn,
        Lsun,
        Textures,
        TinyImageNet,
        TinyImageNet1k,
        Uniform,
        Gaussian,
        Digits,
        Glyphs,
        PhotoPatches,
        RotatedDigits,
    )
