"""The data sets that were published as archives of pictures."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from oodbench.contracts import ImageSet, Info, InvalidData, Paper
from oodbench_datasets.archives import ArchiveDataset, read_text

if TYPE_CHECKING:
    from PIL.Image import Image


class Omniglot(ArchiveDataset):
    """Omniglot, evaluation set: 659 characters of 20 alphabets, each drawn by 20 people.

    The other 964 characters ("background") are of other classes, so that there is no training
    split. The published pictures are black on white; here ink is 255 on 0, as in MNIST.
    """

    info = Info(
        name="omniglot",
        title="Omniglot",
        summary="Handwritten characters of many alphabets, 105x105, grey.",
        paper=Paper(
            title="Human-level concept learning through probabilistic program induction",
            authors="Lake et al.",
            venue="Science",
            year=2015,
            url="https://doi.org/10.1126/science.aab3050",
        ),
    )
    shape = (1, 105, 105)
    num_classes = 659
    archive = "omniglot-py/images_evaluation.zip"
    folder = "images_evaluation"

    def published(self) -> tuple[str, str]:
        """Return the URL and the MD5 digest that torchvision knows."""
        from torchvision.datasets import Omniglot

        url = f"{Omniglot.download_url_prefix}/images_evaluation.zip"
        return url, Omniglot.zips_md5["images_evaluation"]

    def decode(self, picture: Image) -> np.ndarray:
        """Return a picture with ink 255 on 0."""
        return 255 - np.array(picture.convert("L"))


class NotMnist(ArchiveDataset):
    """notMNIST, the small set: the letters A to J in 18,724 glyphs of publicly available fonts.

    Two of the 18,726 files are empty and left out. No checksum of the archive was published; the
    pixels are known, and they are verified: 28x28, in the order of classes and file names, 1,872
    or 1,873 a letter.
    """

    info = Info(
        name="notmnist",
        title="notMNIST",
        summary="The letters A to J in many fonts, 28x28, grey.",
        paper=Paper(
            title="notMNIST dataset",
            authors="Bulatov",
            venue="Machine Learning, etc (blog)",
            year=2011,
            url="http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html",
        ),
    )
    shape = (1, 28, 28)
    num_classes = 10
    archive = "notMNIST_small.tar.gz"
    folder = "notMNIST_small"
    count: ClassVar[int] = 18_724
    pixels_md5: ClassVar[str] = "ca36f240d37739dc1d7fa4f8f7dddd56"

    def published(self) -> tuple[str, None]:
        """Return the URL of its author's site."""
        return "http://yaroslavvb.com/upload/notMNIST/notMNIST_small.tar.gz", None

    def fetch(self, folder: Path, split: str) -> None:
        """Download the archive and verify the pixels in it."""
        super().fetch(folder, split)
        self.load(folder, split)

    def load(self, root: Path, split: str) -> ImageSet:
        """Read and verify the pictures.

        Raises:
            InvalidData: if the archive is damaged or holds other pictures.
        """
        images = super().load(root, split)
        found = hashlib.md5(images.images.tobytes(), usedforsecurity=False).hexdigest()
        if found != self.pixels_md5:
            raise InvalidData(
                f"{root / self.archive}: not notMNIST_small: it has {len(images):,} readable "
                f"pictures, and they are not the {self.count:,} that are known; delete it and "
                f"run 'oodbench data prepare {self.info.name}'"
            )
        return images


class PytorchOodArchive(ArchiveDataset):
    """Colour pictures in an archive that a class of pytorch-ood knows the URL and the checksum of.

    Attributes:
        library: that class as ``"module:name"``.
    """

    mirrorable = True
    library: ClassVar[str]

    def published(self) -> tuple[str, str]:
        """Return the URL and the MD5 digest that pytorch-ood knows."""
        library = pkgutil.resolve_name(self.library)
        return library.url, library.tgz_md5


class Lsun(PytorchOodArchive):
    """LSUN: 10,000 pictures of the test set, resized to 32x32 by the authors of ODIN.

    This is the version in use ever since, and the paper of GANAD also resizes to 32x32 (section
    3.1 j). They were resized without smoothing; Tack et al. (CSI, NeurIPS 2020) found that the
    traces of it make the set easier to detect than pictures that were resized with care.
    """

    info = Info(
        name="lsun",
        title="LSUN",
        summary="Photographs of scenes as resized for ODIN, 32x32, colour.",
        paper=Paper(
            title="LSUN: Construction of a Large-scale Image Dataset using Deep Learning with "
            "Humans in the Loop",
            authors="Yu et al.",
            venue="arXiv",
            year=2015,
            url="https://arxiv.org/abs/1506.03365",
        ),
        deviations=("The 32x32 version of ODIN, which bears traces of resizing.",),
    )
    shape = (3, 32, 32)
    library = "pytorch_ood.dataset.img:LSUNResize"
    archive = "LSUN_resize.tar.gz"
    folder = "LSUN_resize/LSUN_resize"

    def labels(self, archive: Path, pictures: Sequence[PurePosixPath]) -> np.ndarray:
        """Return -1 for every picture: their scenes were not published with them."""
        return np.full(len(pictures), -1, dtype=np.int64)


class Textures(PytorchOodArchive):
    """Describable Textures (DTD): 5,640 photographs, 120 of each of 47 textures.

    All three parts of the set are used, as it is never an ID set. The photographs have many
    sizes, 300 to 640 pixels; their centre squares are reduced to 32x32 with a bicubic filter.
    """

    info = Info(
        name="textures",
        title="Textures",
        summary="Photographs of 47 textures, centre squares at 32x32, colour.",
        paper=Paper(
            title="Describing Textures in the Wild",
            authors="Cimpoi et al.",
            venue="CVPR",
            year=2014,
            url="https://arxiv.org/abs/1311.3618",
        ),
        deviations=("Centre squares, reduced to 32x32 pixels.",),
    )
    shape = (3, 32, 32)
    num_classes = 47
    library = "pytorch_ood.dataset.img:Textures"
    archive = "textures-r1_0_1.tar.gz"
    folder = "dtd/images"

    def decode(self, picture: Image) -> np.ndarray:
        """Return the centre square at 32x32."""
        from PIL.Image import Resampling

        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.convert("RGB").crop((left, top, left + side, top + side))
        _, height, width = self.shape
        return np.array(square.resize((width, height), Resampling.BICUBIC))


class TinyImageNet(PytorchOodArchive):
    """TinyImageNet: the 10,000 validation pictures, 50 of each of 200 classes.

    They serve as the test split, as everywhere in the literature: the labels of the official test
    pictures were never published.
    """

    info = Info(
        name="tinyimagenet",
        title="TinyImageNet",
        summary="Photographs in 200 classes of ImageNet, 64x64, colour.",
        paper=Paper(
            title="Tiny ImageNet Visual Recognition Challenge",
            authors="Le and Yang",
            venue="Stanford CS 231N",
            year=2015,
            url="http://cs231n.stanford.edu/reports/2015/pdfs/yle_project.pdf",
        ),
    )
    shape = (3, 64, 64)
    num_classes = 200
    library = "pytorch_ood.dataset.img:TinyImageNet"
    archive = "tiny-imagenet-200.zip"
    folder = "tiny-imagenet-200/val/images"

    def labels(self, archive: Path, pictures: Sequence[PurePosixPath]) -> np.ndarray:
        """Look up the classes in the annotations; they are numbered by their WordNet name."""
        lines = read_text(archive, "tiny-imagenet-200/val/val_annotations.txt").splitlines()
        names = dict(line.split("\t")[:2] for line in lines)
        classes = {name: number for number, name in enumerate(sorted(set(names.values())))}
        return np.array([classes[names[path.name]] for path in pictures], dtype=np.int64)
