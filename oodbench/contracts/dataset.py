"""The contract of a data set of images."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from oodbench.contracts.info import Info
from oodbench.errors import DataUnavailable

if TYPE_CHECKING:
    import numpy as np

    from oodbench.contracts.data import Context
    from oodbench.contracts.detector import Trainable


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one split.

    Attributes:
        images: (N, H, W) or (N, H, W, 3) uint8; a NumPy array, or for what does not fit in memory
            any object with that ``shape`` and ``dtype`` that decodes ``images[indices]`` to one, or
            to another such object, which ``numpy.asarray`` decodes.
        labels: (N,) int64, the classes from 0; -1 where there are none.
        note: a sentence to show with every result on the set, such as what is missing from it.
    """

    images: np.ndarray
    labels: np.ndarray
    note: str = ""

    def __len__(self) -> int:
        return len(self.labels)


class Dataset(ABC):
    """A source of images that can serve as ID or as OOD set.

    The harness looks for images in this order: a pack ``<name>-<split>.npz`` in the data folder;
    the files that `files` names; and if they are missing, `prepare` is called to fetch them.
    Parameters are those of `Trainable`: keyword-only, with defaults, stored as given.

    Attributes:
        info: name, title and source of the set.
        shape: (c, h, w) of the original images; c is 1 or 3.
        num_classes: number of classes; 0 if the images have none.
        splits: the splits that exist; an ID set needs ``"train"`` and ``"test"``, and may have
            ``"validation"``, whose images then are the validation images.
        mirrorable: whether an image that is mirrored left to right is of the same class, so that a
            classifier may be trained on such images: of photographs as a rule, of letters and
            digits not. Images of a user's own are taken not to be.
        validates: whether detectors are tuned against it where a benchmark names no other set.
    """

    info: Info
    shape: tuple[int, int, int]
    num_classes: int = 0
    splits: tuple[str, ...] = ("train", "test")
    mirrorable: bool = False
    validates: bool = False

    def fitted(self, shape: tuple[int, int, int]) -> Dataset:
        """Return the data set to use where images have the geometry ``shape`` (c, h, w).

        The data set itself by default, whose images the harness then resizes. Noise returns
        itself in that geometry instead, since resizing would change its statistics.
        """
        return self

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Return every file that `load` reads; none for a set that is computed or built in."""
        return ()

    def prepare(self, root: Path, split: str) -> None:
        """Fetch the files that `files` names into ``root``; the only place with network access.

        Does nothing where they are there already, verifies checksums, and never writes outside
        ``root``.

        Raises:
            DataUnavailable: if they cannot be had; the message says which file or command helps.
        """

    @abstractmethod
    def load(self, root: Path, split: str) -> ImageSet:
        """Read one split, always in the same order.

        Raises:
            InvalidData: if a file is unreadable or truncated; the message names it.
        """


class GeneratedDataset(Dataset):
    """An OOD set whose images are made in a run, by a network that is trained there.

    It is made anew for each classifier, since such networks learn from the classifier too.
    """

    splits = ("test",)
    shape = (1, 1, 1)

    def fitted(self, shape: tuple[int, int, int]) -> Self:
        """Return the same set in the geometry of the ID set, in which its images are made."""
        fitted = copy.copy(self)
        fitted.shape = shape
        return fitted

    @abstractmethod
    def parts(self) -> Mapping[str, Trainable]:
        """Return the unfitted parts that make the images, as `Trainable.parts` does."""

    @abstractmethod
    def generate(self, context: Context) -> ImageSet:
        """Make the images in the geometry of the ID set.

        Args:
            context: device, shape, number of classes, and the fitted parts; no classifier.
        """

    def load(self, root: Path, split: str) -> ImageSet:
        """Raise an error: there is nothing to read.

        Raises:
            DataUnavailable: always.
        """
        raise DataUnavailable(
            f"data set '{self.info.name}' is made in a run, and serves as an OOD set alone (--ood "
            f"{self.info.name}); name another set here"
        )
