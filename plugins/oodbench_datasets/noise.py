"""Images of noise."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info, InvalidParameter, Paper

_PAPER = Paper(
    title="GAN-Based Anomaly Detection Tailored for Classifiers",
    authors="Králik et al.",
    venue="Mathematics",
    year=2024,
    url="https://doi.org/10.3390/math12101439",
)


class Noise(Dataset):
    """Images whose pixels are drawn one by one, in the geometry of the ID set.

    Image i depends on ``seed``, the shape and i alone: it is drawn by a counter-based generator
    (Philox) whose counter starts at i, so that asking for more images changes none of them.

    Args:
        seed: draws the images; at least 0.
        count: number of images; at least 1.
        shape: (c, h, w) of the images; c is 1 or 3.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    shape = (1, 28, 28)
    splits = ("test",)
    stream: ClassVar[int]

    def __init__(
        self, *, seed: int = 0, count: int = 10_000, shape: tuple[int, int, int] = (1, 28, 28)
    ) -> None:
        if seed < 0 or count < 1 or shape[0] not in (1, 3) or min(shape) < 1:
            raise InvalidParameter(
                f"{self.info.name}: seed={seed}, count={count}, shape={shape}: seed must be at "
                "least 0, count at least 1, and shape (1 or 3, height, width)"
            )
        self.seed = seed
        self.count = count
        self.shape = shape

    def fitted(self, shape: tuple[int, int, int]) -> Self:
        """Return the same noise drawn in another geometry; resizing would make it smooth."""
        return type(self)(seed=self.seed, count=self.count, shape=shape)

    @abstractmethod
    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        """Draw pixels in [0, 1]."""

    def load(self, root: Path, split: str) -> ImageSet:
        """Draw the images: (count, h, w) or (count, h, w, 3) uint8, the grey levels rounded."""
        channels, height, width = self.shape
        size = (height, width) if channels == 1 else (height, width, channels)
        images = np.empty((self.count, *size), dtype=np.uint8)
        for index in range(self.count):
            bits = np.random.Philox(key=[self.seed, self.stream], counter=[0, 0, 0, index])
            images[index] = np.rint(255 * self.draw(np.random.Generator(bits), size))
        return ImageSet(images, np.full(self.count, -1, dtype=np.int64))


class Uniform(Noise):
    """Noise, uniform in [0, 1] (section 3.1 f of the paper)."""

    info = Info(
        name="uniform",
        title="Uniform",
        summary="Noise: every pixel uniform in [0, 1].",
        paper=_PAPER,
    )
    stream = 0

    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        """Draw u ~ U(0, 1)."""
        return generator.random(size)


class Gaussian(Noise):
    """Noise, normal with mean 0.5 and standard deviation 0.5, clipped to [0, 1] (section 3.1 g)."""

    info = Info(
        name="gaussian",
        title="Gaussian",
        summary="Noise: every pixel normal(0.5, 0.5), clipped to [0, 1].",
        paper=_PAPER,
    )
    stream = 1

    def draw(self, generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        """Draw x ~ N(0.5, 0.5^2), clipped."""
        return np.clip(generator.normal(0.5, 0.5, size), 0, 1)
