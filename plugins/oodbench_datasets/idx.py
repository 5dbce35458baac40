"""MNIST and its drop-in replacements: pairs of IDX files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from oodbench.contracts import ImageSet, Info, InvalidData, Paper
from oodbench_datasets.fetched import LibraryDataset


class IdxDataset(LibraryDataset):
    """Grey images of 28x28 pixels and their labels in two IDX files, in torchvision's layout.

    The files are read one by one with torchvision's reader rather than through its class, which
    refuses a split when the other is missing and cannot say which file is damaged. IDX files have
    no published checksum (the downloaded archives have, and are checked), hence the checks here.

    Attributes:
        folder: the folder that torchvision puts the files into.
        prefixes: how the names of the files for training and for testing begin.
        transposed: whether the files hold every image with rows and columns exchanged.
        first_label: the label of the first class in the files.
    """

    shape = (1, 28, 28)
    num_classes = 10
    folder: ClassVar[str]
    prefixes: ClassVar[tuple[str, str]] = ("train", "t10k")
    transposed: ClassVar[bool] = False
    first_label: ClassVar[int] = 0

    def paths(self, split: str) -> Sequence[str]:
        """Return the paths of images and labels."""
        start = f"{self.folder}/raw/{self.prefixes[split == 'test']}"
        return (f"{start}-images-idx3-ubyte", f"{start}-labels-idx1-ubyte")

    def load(self, root: Path, split: str) -> ImageSet:
        """Read one split: (N, 28, 28) uint8, ink 255 on 0; labels from 0.

        Raises:
            InvalidData: if a file is unreadable, truncated, or does not fit the other.
        """
        from torchvision.datasets.mnist import read_image_file, read_label_file

        images_path, labels_path = self.files(root, split)
        images = _read(images_path, read_image_file)
        labels = _read(labels_path, read_label_file) - self.first_label
        if images.shape[1:] != self.shape[1:]:
            raise InvalidData(f"{images_path}: images have shape {images.shape[1:]}, not 28x28")
        if len(labels) != len(images):
            raise InvalidData(f"{labels_path}: {len(labels)} labels for {len(images)} images")
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise InvalidData(f"{labels_path}: labels are not those of {self.num_classes} classes")
        if self.transposed:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return ImageSet(images, labels)


def _read(path: Path, reader: Callable[[str], Any]) -> np.ndarray:
    try:
        array: np.ndarray = reader(str(path)).numpy()
    # The reader has no error of its own: what is raised depends on where the bytes stop fitting.
    except (OSError, AssertionError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InvalidData(f"{path}: unreadable or truncated ({type(error).__name__})") from error
    return array


class Mnist(IdxDataset):
    """MNIST: 60,000 and 10,000 handwritten digits."""

    info = Info(
        name="mnist",
        title="MNIST",
        summary="Handwritten digits, 28x28, grey.",
        paper=Paper(
            title="Gradient-Based Learning Applied to Document Recognition",
            authors="LeCun et al.",
            venue="Proceedings of the IEEE",
            year=1998,
            url="https://doi.org/10.1109/5.726791",
        ),
    )
    library = "torchvision.datasets:MNIST"
    folder = "MNIST"


class FashionMnist(IdxDataset):
    """FashionMNIST: 60,000 and 10,000 pictures of clothing."""

    info = Info(
        name="fashionmnist",
        title="FashionMNIST",
        summary="Pictures of clothing in ten classes, 28x28, grey.",
        paper=Paper(
            title="Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
            "Algorithms",
            authors="Xiao et al.",
            venue="arXiv",
            year=2017,
            url="https://arxiv.org/abs/1708.07747",
        ),
    )
    library = "torchvision.datasets:FashionMNIST"
    mirrorable = True
    folder = "FashionMNIST"


class Kmnist(IdxDataset):
    """KMNIST: 60,000 and 10,000 handwritten characters of classical Japanese."""

    info = Info(
        name="kmnist",
        title="KMNIST",
        summary="Cursive Japanese characters (Kuzushiji) in ten classes, 28x28, grey.",
        paper=Paper(
            title="Deep Learning for Classical Japanese Literature",
            authors="Clanuwat et al.",
            venue="arXiv",
            year=2018,
            url="https://arxiv.org/abs/1812.01718",
        ),
    )
    library = "torchvision.datasets:KMNIST"
    folder = "KMNIST"


class EmnistLetters(IdxDataset):
    """The letters of EMNIST: 124,800 and 20,800, upper and lower case as one class.

    The files hold them transposed, and labelled from 1; here they are upright, labelled from 0.
    """

    info = Info(
        name="emnist-letters",
        title="EMNIST-Letters",
        summary="Handwritten letters in 26 classes, 28x28, grey.",
        paper=Paper(
            title="EMNIST: an extension of MNIST to handwritten letters",
            authors="Cohen et al.",
            venue="IJCNN",
            year=2017,
            url="https://arxiv.org/abs/1702.05373",
        ),
    )
    num_classes = 26
    transposed = True
    first_label = 1
    library = "torchvision.datasets:EMNIST"
    folder = "EMNIST"
    prefixes = ("emnist-letters-train", "emnist-letters-test")

    def arguments(self, split: str) -> Mapping[str, Any]:
        """Return the keyword arguments that select the letters among the six parts of EMNIST."""
        return {"split": "letters", "train": split == "train"}
