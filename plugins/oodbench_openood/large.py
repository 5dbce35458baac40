"""The sets of OpenOOD's ImageNet and ImageNet-200 benchmarks."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.contracts import Info, Paper
from oodbench_datasets.archives import ArchiveDataset
from oodbench_datasets.pictures import Textures
from oodbench_openood.lists import Listed, ListedDataset
from oodbench_openood.pictures import fit_picture

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

IMAGENET = Paper(
    title="ImageNet Large Scale Visual Recognition Challenge",
    authors="Russakovsky et al.",
    venue="IJCV",
    year=2015,
    url="https://arxiv.org/abs/1409.0575",
)


class LargeDataset(ListedDataset):
    """An OOD set of the ImageNet benchmarks.

    Args:
        lists: the benchmark whose lists are read, ``"imagenet"`` or ``"imagenet200"``.
    """

    shape = (3, 224, 224)
    image_folder = "images_largescale"

    def __init__(self, *, lists: str = "imagenet") -> None:
        self.lists = lists


class OpenOodImageNet(ListedDataset):
    """ImageNet: 1,281,167 training pictures, and the 45,000 validation pictures that test.

    The other 5,000 are set aside for validation.

    Args:
        train_per_class: training pictures of a class that are used at most, the first in the
            list; None for all. A run holds them at 224x224 pixels: 50 of each of 1,000 classes
            take 7.5 GB.
        shifts: covariate-shifted pictures of ID classes that count as ID test images too, for
            full-spectrum detection: ``"v2"``, ``"c"``, ``"r"`` or ``"es"``.
    """

    info = Info(
        name="openood-imagenet",
        title="ImageNet",
        summary="ImageNet by OpenOOD's lists, 224x224, colour.",
        paper=IMAGENET,
        deviations=("Detectors learn from 50 training pictures of each class by default.",),
    )
    mirrorable = True
    splits: tuple[str, ...] = ("train", "test")
    shape = (3, 224, 224)
    num_classes = 1000
    image_folder = "images_largescale"
    subset = "imagenet"
    lists = "imagenet"

    def __init__(self, *, train_per_class: int | None = 50, shifts: tuple[str, ...] = ()) -> None:
        if train_per_class is not None and train_per_class < 1:
            raise ValueError(f"train_per_class must be at least 1, not {train_per_class}")
        self.train_per_class = train_per_class
        self.shifts = shifts

    def subsets(self, split: str) -> Sequence[str]:
        """Return what lists call the set, and for testing its shifted versions."""
        shifted = (f"{self.subset}_{shift}" for shift in self.shifts)
        return (self.subset, *(shifted if split == "test" else ()))

    def is_ready(self, subset: str) -> bool:
        """Return whether the pictures are ImageNet-C's, which were published at 224x224."""
        return subset == f"{self.subset}_c"

    def listed(self, root: Path, split: str) -> list[Listed]:
        """Return the lines of the lists, of each class no more than are used."""
        found = super().listed(root, split)
        if split == "test" or self.train_per_class is None:
            return found
        counts = dict.fromkeys((each.label for each in found), 0)
        kept = []
        for each in found:
            counts[each.label] += 1
            if counts[each.label] <= self.train_per_class:
                kept.append(each)
        return kept

    def note(self, split: str) -> str:
        """Return how many training pictures detectors learn from, if not from all."""
        if self.train_per_class is None:
            return ""
        return f"detectors learn from at most {self.train_per_class} training pictures of a class"


class OpenOodImageNetValidation(OpenOodImageNet):
    """The 5,000 validation pictures of ImageNet that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-imagenet-validation",
        title="ImageNet (validation)",
        summary="The pictures of ImageNet that OpenOOD sets aside for validation, 224x224.",
        paper=IMAGENET,
    )
    splits = ("test",)
    prefix = "val"


class OpenOodImageNet200(OpenOodImageNet):
    """ImageNet-200: the 200 classes of ImageNet-R, 9,000 validation pictures of which test.

    Args:
        train_per_class: as for ImageNet; there are some 1,300 of each class.
        shifts: as for ImageNet.
    """

    info = Info(
        name="openood-imagenet200",
        title="ImageNet-200",
        summary="200 classes of ImageNet by OpenOOD's lists, 224x224, colour.",
        paper=IMAGENET,
        deviations=OpenOodImageNet.info.deviations,
    )
    num_classes = 200
    subset = "imagenet200"
    lists = "imagenet200"


class OpenOodImageNet200Validation(OpenOodImageNet200):
    """The 1,000 validation pictures of ImageNet-200 that OpenOOD sets aside for validation."""

    info = Info(
        name="openood-imagenet200-validation",
        title="ImageNet-200 (validation)",
        summary="The pictures of ImageNet-200 that OpenOOD sets aside for validation, 224x224.",
        paper=IMAGENET,
    )
    splits = ("test",)
    prefix = "val"


class SsbHard(LargeDataset):
    """The hard split of the Semantic Shift Benchmark: 49,000 pictures of ImageNet-21K."""

    info = Info(
        name="ssb-hard",
        title="SSB-hard",
        summary="Pictures of classes of ImageNet-21K that are near those of ImageNet.",
        paper=Paper(
            title="Open-Set Recognition: a Good Closed-Set Classifier is All You Need?",
            authors="Vaze et al.",
            venue="ICLR",
            year=2022,
            url="https://arxiv.org/abs/2110.06207",
        ),
    )
    subset = "ssb_hard"


class Ninco(LargeDataset, ArchiveDataset):
    """NINCO: 5,879 pictures of 64 classes, each looked at by people."""

    info = Info(
        name="ninco",
        title="NINCO",
        summary="Pictures in which people found no object of an ImageNet class.",
        paper=Paper(
            title="In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation",
            authors="Bitterwolf et al.",
            venue="ICML",
            year=2023,
            url="https://arxiv.org/abs/2306.00826",
        ),
    )
    subset = "ninco"
    stand_in = "NINCO as its authors published it"
    archive = "NINCO_all.tar.gz"
    folder = "NINCO/NINCO_OOD_classes"

    def published(self) -> tuple[str, str]:
        """Return the URL and the MD5 digest that pytorch-ood knows."""
        library = pkgutil.resolve_name("pytorch_ood.dataset.img:NINCO")
        return library.url, library.tgz_md5s

    def decode(self, picture: Image) -> np.ndarray:
        """Return what the benchmark cuts out of a picture."""
        return fit_picture(picture, self.shape)


class INaturalist(LargeDataset):
    """iNaturalist: 10,000 pictures of 110 plants that are no ImageNet class."""

    info = Info(
        name="inaturalist",
        title="iNaturalist",
        summary="Pictures of plants that are no class of ImageNet.",
        paper=Paper(
            title="MOS: Towards Scaling Out-of-distribution Detection for Large Semantic Space",
            authors="Huang and Li",
            venue="CVPR",
            year=2021,
            url="https://arxiv.org/abs/2105.01879",
        ),
    )
    subset = "inaturalist"


class LargeTextures(LargeDataset, Textures):
    """Textures without those that show an ImageNet class, at the size of ImageNet."""

    info = Info(
        name="textures-large",
        title="Textures",
        summary="Textures (DTD) by OpenOOD's lists for ImageNet, 224x224, colour.",
        paper=Textures.info.paper,
    )
    num_classes = 0
    image_folder = "images_classic"
    subset = "textures"
    stand_in = "Textures"

    def decode(self, picture: Image) -> np.ndarray:
        """Return what the benchmark cuts out of a picture."""
        return fit_picture(picture, self.shape)


class OpenImageO(LargeDataset):
    """OpenImage-O: pictures of OpenImages in which people found no ImageNet class."""

    info = Info(
        name="openimage-o",
        title="OpenImage-O",
        summary="Pictures of OpenImages in which people found no class of ImageNet.",
        paper=Paper(
            title="ViM: Out-Of-Distribution with Virtual-logit Matching",
            authors="Wang et al.",
            venue="CVPR",
            year=2022,
            url="https://arxiv.org/abs/2203.10807",
        ),
    )
    subset = "openimage_o"
