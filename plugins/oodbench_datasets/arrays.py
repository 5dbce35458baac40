"""CIFAR and SVHN: colour images in checksummed files, read by torchvision's classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from oodbench.contracts import ImageSet, Info, Paper
from oodbench_datasets.fetched import LibraryDataset, verify


class ArrayDataset(LibraryDataset):
    """Colour images of 32x32 pixels in files whose checksums torchvision knows.

    The checksums are verified before anything else is done: CIFAR's files are pickles, and a
    pickle can do whatever its author liked when it is opened. torchvision's class does the same,
    but cannot say which of the files is the wrong one.
    """

    shape = (3, 32, 32)

    @abstractmethod
    def checksums(self, split: str) -> Mapping[str, str]:
        """Return the published MD5 digest of every path of a split."""

    @abstractmethod
    def arrays(self, source: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return images (N, 32, 32, 3) and labels (N,) of an object of torchvision's class."""

    def load(self, root: Path, split: str) -> ImageSet:
        """Verify and read one split: (N, 32, 32, 3) uint8.

        Raises:
            InvalidData: if a file is not the published one.
        """
        checksums = self.checksums(split)
        for path in self.paths(split):
            verify(root / path, checksums[path], self.info.name)
        source = self.library_class()(str(root), **self.arguments(split))
        images, labels = self.arrays(source)
        return ImageSet(np.ascontiguousarray(images), labels.astype(np.int64))


class CifarDataset(ArrayDataset):
    """CIFAR: pickled batches. torchvision insists on those of both splits, whichever is read.

    Attributes:
        folder: the folder that torchvision puts the files into.
        names: the names of all the files.
    """

    mirrorable = True
    folder: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def paths(self, split: str) -> Sequence[str]:
        """Return the paths of all the files."""
        return tuple(f"{self.folder}/{name}" for name in self.names)

    def checksums(self, split: str) -> Mapping[str, str]:
        """Return the MD5 digest of every batch and of the names of the classes."""
        library = self.library_class()
        batches = [*library.train_list, *library.test_list]
        batches.append((library.meta["filename"], library.meta["md5"]))
        return {f"{self.folder}/{name}": md5 for name, md5 in batches}

    def arrays(self, source: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels."""
        return source.data, np.array(source.targets)


_CIFAR_PAPER = Paper(
    title="Learning Multiple Layers of Features from Tiny Images",
    authors="Krizhevsky",
    venue="University of Toronto",
    year=2009,
    url="https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
)


class Cifar10(CifarDataset):
    """CIFAR-10: 50,000 and 10,000 photographs."""

    info = Info(
        name="cifar10",
        title="CIFAR-10",
        summary="Photographs of vehicles and animals in ten classes, 32x32, colour.",
        paper=_CIFAR_PAPER,
    )
    num_classes = 10
    library = "torchvision.datasets:CIFAR10"
    folder = "cifar-10-batches-py"
    names = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


class Cifar100(CifarDataset):
    """CIFAR-100: 50,000 and 10,000 photographs of classes that are not in CIFAR-10."""

    info = Info(
        name="cifar100",
        title="CIFAR-100",
        summary="Photographs in a hundred classes, 32x32, colour.",
        paper=_CIFAR_PAPER,
    )
    num_classes = 100
    library = "torchvision.datasets:CIFAR100"
    folder = "cifar-100-python"
    names = ("train", "test", "meta")


class Svhn(ArrayDataset):
    """SVHN, cropped digits: 73,257 and 26,032; the digit 0 has the label 0."""

    info = Info(
        name="svhn",
        title="SVHN",
        summary="Digits of house numbers on photographs, 32x32, colour.",
        paper=Paper(
            title="Reading Digits in Natural Images with Unsupervised Feature Learning",
            authors="Netzer et al.",
            venue="NIPS Workshop on Deep Learning and Unsupervised Feature Learning",
            year=2011,
            url="http://ufldl.stanford.edu/housenumbers/nips2011_housenumbers.pdf",
        ),
    )
    num_classes = 10
    library = "torchvision.datasets:SVHN"

    def paths(self, split: str) -> Sequence[str]:
        """Return the one file."""
        return (f"{split}_32x32.mat",)

    def arguments(self, split: str) -> Mapping[str, Any]:
        """Return the keyword arguments that select a split."""
        return {"split": split}

    def checksums(self, split: str) -> Mapping[str, str]:
        """Return the MD5 digest of the file."""
        _, name, md5 = self.library_class().split_list[split]
        return {name: md5}

    def arrays(self, source: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return images, channels last, and labels."""
        return np.moveaxis(source.data, 1, 3), source.labels
