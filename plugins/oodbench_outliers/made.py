"""Outliers made of ID training images: mixed, cut into pieces, inverted.

They fit every ID set, need no download, and none of their images is in a test set of any benchmark.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np

from oodbench.contracts import (
    Context,
    GeneratedDataset,
    ImageSet,
    Info,
    InvalidParameter,
    Need,
    Paper,
    Stream,
    Trainable,
)

PAPER = Paper(
    title="Deep Anomaly Detection with Outlier Exposure",
    authors="Hendrycks et al.",
    venue="ICLR",
    year=2019,
    url="https://arxiv.org/abs/1812.04606",
)
"""Tunes against outliers made of ID images, of more kinds than here."""

PIECES = 4
"""Rows and columns of pieces that an image is cut into."""

DRAWS = 4
"""Pairs drawn for each mixed image, since those of one class are discarded."""


class Sample(Trainable):
    """Some ID training images, drawn by seed.

    Args:
        count: how many there are at most.

    Attributes:
        images_: (n, c, h, w) uint8.
        labels_: (n,) int64.
    """

    fit_needs = frozenset({Need.INPUTS})
    stochastic = True

    def __init__(self, *, count: int = 2_000) -> None:
        self.count = count

    def fit(self, train: Stream, context: Context) -> Self:
        """Draw the images, without repetition; they keep their order."""
        import torch

        order = torch.randperm(len(train), generator=context.generator())
        chosen = torch.zeros(len(train), dtype=torch.bool)
        chosen[order[: self.count]] = True
        images, labels, start = [], [], 0
        for batch in train:
            own = chosen[start : start + len(batch)].to(batch.labels.device)
            images.append((batch.inputs[own] * 255).round().to(torch.uint8))
            labels.append(batch.labels[own])
            start += len(batch)
        self.images_, self.labels_ = torch.cat(images), torch.cat(labels)
        return self


class _Made(GeneratedDataset):
    """Outliers made of a sample of the ID training images.

    Args:
        count: images to make at most, and of the sample.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    validates = True

    def __init__(self, *, count: int = 2_000) -> None:
        if count < 1:
            raise InvalidParameter(f"count must be at least 1, not {count}")
        self.count = count

    def parts(self) -> Mapping[str, Trainable]:
        """Return the sample, which sets of the same size share."""
        return {"sample": Sample(count=self.count)}

    def generate(self, context: Context) -> ImageSet:
        """Make the images; they have no labels."""
        sample = context.parts["sample"]
        images, labels = sample.images_.cpu().numpy(), sample.labels_.cpu().numpy()
        generator = np.random.Generator(np.random.Philox(context.seed))
        made = np.moveaxis(self.make(images, labels, generator), 1, 3)
        found = np.ascontiguousarray(made[..., 0] if made.shape[3] == 1 else made)
        return ImageSet(found, np.full(len(found), -1, dtype=np.int64))

    @abstractmethod
    def make(
        self, images: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Make outliers: (m, c, h, w) uint8 of images (n, c, h, w) uint8 with labels (n,) int64."""


class Mixed(_Made):
    """The mean of two images of different classes, pixel by pixel."""

    info = Info(
        name="mixed-id",
        title="Mixed ID",
        summary="Means of two ID training images of different classes; no download.",
        paper=PAPER,
        deviations=("The two images belong to different classes.",),
    )

    def make(
        self, images: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Mix randomly drawn pairs; as many as there are images, if classes allow."""
        pairs = generator.integers(0, len(images), (DRAWS * len(images), 2))
        pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]][: len(images)]
        total = images[pairs[:, 0]].astype(np.uint16) + images[pairs[:, 1]]
        mixed: np.ndarray = ((total + 1) // 2).astype(np.uint8)
        return mixed


class Jigsaw(_Made):
    """The sixteen pieces of an image in another order.

    What is left at the right and at the bottom, where an image cannot be cut into four, stays.
    """

    info = Info(
        name="jigsaw-id",
        title="Jigsaw ID",
        summary="ID training images cut into 16 pieces and rearranged; no download.",
        paper=PAPER,
    )

    def make(
        self, images: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Shuffle the pieces of each image."""
        count, channels, height, width = images.shape
        rows, columns = height // PIECES, width // PIECES
        size = (count, channels, PIECES, rows, PIECES, columns)
        inner = images[:, :, : PIECES * rows, : PIECES * columns].reshape(size)
        pieces = np.moveaxis(inner, (2, 4), (1, 2)).reshape(
            count, PIECES**2, channels, rows, columns
        )
        order = generator.permuted(np.tile(np.arange(PIECES**2), (count, 1)), axis=1)
        pieces = np.take_along_axis(pieces, order[:, :, None, None, None], axis=1)
        pieces = pieces.reshape(count, PIECES, PIECES, channels, rows, columns)
        made = images.copy()
        made[:, :, : PIECES * rows, : PIECES * columns] = np.moveaxis(
            pieces, (1, 2), (2, 4)
        ).reshape(count, channels, PIECES * rows, PIECES * columns)
        return made


class Inverted(_Made):
    """The negative of an image."""

    info = Info(
        name="inverted-id",
        title="Inverted ID",
        summary="Negatives of ID training images; no download.",
        paper=PAPER,
    )

    def make(
        self, images: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Invert every value."""
        return 255 - images
