"""The sets of OpenOOD's CIFAR-10 and CIFAR-100 benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.contracts import ImageSet, Info
from oodbench_datasets.arrays import Cifar10, Cifar100, Svhn
from oodbench_datasets.idx import Mnist
from oodbench_datasets.pictures import Textures, TinyImageNet
from oodbench_openood.lists import ListedDataset
from oodbench_openood.pictures import fit_picture
from oodbench_openood.places import Places365

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


class SmallDataset(ListedDataset):
    """A set of the CIFAR benchmarks.

    Args:
        lists: the benchmark whose lists are read, ``"cifar10"`` or ``"cifar100"``.
    """

    def __init__(self, *, lists: str = "cifar10") -> None:
        self.lists = lists


class OpenOodCifar10(SmallDataset, Cifar10):
    """CIFAR-10 without the 1,000 test images that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-cifar10",
        title="CIFAR-10",
        summary="CIFAR-10 by OpenOOD's lists: 9,000 of the 10,000 test images.",
        paper=Cifar10.info.paper,
    )
    splits: tuple[str, ...] = ("train", "test")
    subset = "cifar10"
    stand_in = "CIFAR-10"
    stand_in_pack = "cifar10"


class OpenOodCifar10Validation(OpenOodCifar10):
    """The 1,000 test images of CIFAR-10 that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-cifar10-validation",
        title="CIFAR-10 (validation)",
        summary="The 1,000 images of CIFAR-10 that OpenOOD sets aside for validation.",
        paper=Cifar10.info.paper,
    )
    splits = ("test",)
    stand_in = ""
    prefix = "val"


class OpenOodCifar100(SmallDataset, Cifar100):
    """CIFAR-100 without the 1,000 test images that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-cifar100",
        title="CIFAR-100",
        summary="CIFAR-100 by OpenOOD's lists: 9,000 of the 10,000 test images.",
        paper=Cifar100.info.paper,
    )
    splits: tuple[str, ...] = ("train", "test")
    subset = "cifar100"
    stand_in = "CIFAR-100"
    stand_in_pack = "cifar100"

    def __init__(self, *, lists: str = "cifar100") -> None:
        super().__init__(lists=lists)


class OpenOodCifar100Validation(OpenOodCifar100):
    """The 1,000 test images of CIFAR-100 that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-cifar100-validation",
        title="CIFAR-100 (validation)",
        summary="The 1,000 images of CIFAR-100 that OpenOOD sets aside for validation.",
        paper=Cifar100.info.paper,
    )
    splits = ("test",)
    stand_in = ""
    prefix = "val"


class OpenOodTinyImageNet(SmallDataset, TinyImageNet):
    """TinyImageNet without pictures that show an ID class: 7,793 are left against CIFAR-10."""

    info = Info(
        name="openood-tinyimagenet",
        title="TinyImageNet",
        summary="TinyImageNet by OpenOOD's lists, without pictures of ID classes.",
        paper=TinyImageNet.info.paper,
    )
    num_classes = 0
    subset = "tin"
    stand_in = "TinyImageNet"
    stand_in_pack = "tinyimagenet"


class OpenOodMnist(SmallDataset, Mnist):
    """MNIST as OpenOOD lists it."""

    info = Info(
        name="openood-mnist",
        title="MNIST",
        summary="MNIST by OpenOOD's lists.",
        paper=Mnist.info.paper,
    )
    splits = ("test",)
    num_classes = 0
    subset = "mnist"
    stand_in = "MNIST"
    stand_in_pack = "mnist"

    def load_whole(self, root: Path, split: str) -> ImageSet:
        """Read MNIST, which checks that its labels are those of ten classes; this set has none."""
        return Mnist().load(root, split)


class OpenOodSvhn(SmallDataset, Svhn):
    """SVHN as OpenOOD lists it."""

    info = Info(
        name="openood-svhn",
        title="SVHN",
        summary="SVHN by OpenOOD's lists.",
        paper=Svhn.info.paper,
    )
    splits = ("test",)
    num_classes = 0
    subset = "svhn"
    stand_in = "SVHN"
    stand_in_pack = "svhn"


class OpenOodTextures(SmallDataset, Textures):
    """Textures as OpenOOD lists them."""

    info = Info(
        name="openood-textures",
        title="Textures",
        summary="Textures (DTD) by OpenOOD's lists, centre squares at 32x32.",
        paper=Textures.info.paper,
    )
    num_classes = 0
    subset = "texture"
    stand_in = "Textures"
    stand_in_pack = "textures"

    def decode(self, picture: Image) -> np.ndarray:
        """Return the centre square."""
        return fit_picture(picture, self.shape)


class OpenOodPlaces365(SmallDataset, Places365):
    """Places365 without pictures that show an ID class."""

    info = Info(
        name="openood-places365",
        title="Places365",
        summary="Places365 by OpenOOD's lists, without pictures of ID classes.",
        paper=Places365.info.paper,
    )
    subset = "places365"
    stand_in = "Places365"
    stand_in_pack = "places365"
