"""The validation pictures of Places365."""

from __future__ import annotations

import copy
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from oodbench.contracts import ImageSet, Info, Paper
from oodbench_datasets.archives import ArchiveDataset
from oodbench_datasets.fetched import verify
from oodbench_openood.pictures import fit_picture

if TYPE_CHECKING:
    from PIL.Image import Image


class Places365(ArchiveDataset):
    """Places365, small validation pictures: 36,500 photographs, 100 of each of 365 kinds of place.

    They serve as the test split. Their centre squares are decoded in the geometry of the ID set:
    all of them at 256x256 pixels would take 7 GB.
    """

    info = Info(
        name="places365",
        title="Places365",
        summary="Photographs of places, centre squares at 32x32, colour.",
        paper=Paper(
            title="Places: A 10 Million Image Database for Scene Recognition",
            authors="Zhou et al.",
            venue="IEEE TPAMI",
            year=2017,
            url="https://doi.org/10.1109/TPAMI.2017.2723009",
        ),
        deviations=("Centre squares, reduced to the size of the ID images.",),
    )
    shape = (3, 32, 32)
    archive = "places365/val_256.tar"
    folder = "val_256"

    def fitted(self, shape: tuple[int, int, int]) -> Self:
        """Return the same set in the geometry of the ID set, in which its pictures are decoded."""
        fitted = copy.copy(self)
        fitted.shape = shape
        return fitted

    def published(self) -> tuple[str, str]:
        """Return the URL and the MD5 digest that torchvision's class has."""
        url = "http://data.csail.mit.edu/places/places365/val_256.tar"
        return url, "e27b17d8d44f4af9a78502beb927f808"

    def decode(self, picture: Image) -> np.ndarray:
        """Return the centre square."""
        return fit_picture(picture, self.shape)

    def load(self, root: Path, split: str) -> ImageSet:
        """Read the pictures in the order of their names, without labels.

        Raises:
            InvalidData: if the archive is not the published one.
        """
        from PIL import Image

        archive = root / self.archive
        _, md5 = self.published()
        verify(archive, md5, self.info.name)
        pictures = {}
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name.endswith(".jpg") else None
                if content is not None:
                    with Image.open(io.BytesIO(content.read())) as picture:
                        pictures[member.name] = self.decode(picture)
        images = np.stack([pictures[name] for name in sorted(pictures)])
        return ImageSet(images, np.full(len(images), -1, dtype=np.int64))
