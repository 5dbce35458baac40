"""Images that repeat others, exactly or nearly."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from oodbench.images.npy import ArrayFile, slices, take_rows

SIDE = 8
"""Height and width, at most, of the thumbnails by which near duplicates are found."""

NEAR = 0.02
"""How much thumbnails of near duplicates differ at most: root mean square, of pixels in [0, 1]."""

BLOCK = 2**24
"""Distances that are computed at a time, which bounds the memory for it to 64 MiB."""

DEFINITION = (
    f"exact: every pixel is that of an ID training image; near: not exact, and averaged to "
    f"{SIDE} x {SIDE} grey pixels in [0, 1] at most {NEAR} (root mean square) from one"
)
"""What counts as a duplicate, in one sentence."""


def hash_images(images: np.ndarray) -> np.ndarray:
    """Return what tells images apart, (n,) uint64; equal images have equal hashes.

    Args:
        images: (n, ...) uint8. That any two of a million different ones have the same hash has a
            chance of one to thirty million.
    """
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Duplicates:
    """The images of a set that occur among reference images.

    Attributes:
        exact: (m, 2) int64, the positions of images and of a reference image with the same pixels.
        near: (p, 2) int64, those of other images and of the reference image that is the nearest.
    """

    exact: np.ndarray
    near: np.ndarray


class Reference:
    """Images that others are looked for among.

    Args:
        images: (N, c, h, w) uint8, at least one.
    """

    def __init__(self, images: np.ndarray | ArrayFile) -> None:
        # the first of equal images; of a hash, since the pixels would be in memory once more
        hashes, self._thumbnails = _features(images)
        self._positions = {hashes[n]: n for n in reversed(range(len(images)))}
        self._norms = (self._thumbnails**2).sum(axis=1)

    def find(self, images: np.ndarray | ArrayFile) -> Duplicates:
        """Return which of images (n, c, h, w) uint8 are duplicates of a reference image."""
        hashes, small = _features(images)
        exact = np.array([self._positions.get(each, -1) for each in hashes], dtype=np.int64)
        nearest, difference = self._nearest(small)
        is_near = (exact < 0) & (difference <= NEAR)
        return Duplicates(_pairs(exact >= 0, exact), _pairs(is_near, nearest))

    def _nearest(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the reference nearest to each thumbnail, and the root mean square difference."""
        nearest = np.zeros(len(wanted), dtype=np.int64)
        rows = max(BLOCK // len(self._norms), 1)
        for start in range(0, len(wanted), rows):
            products = wanted[start : start + rows] @ self._thumbnails.T
            nearest[start : start + rows] = (self._norms - 2 * products).argmin(axis=1)
        squares = (wanted - self._thumbnails[nearest]) ** 2
        return nearest, np.sqrt(squares.mean(axis=1))


def _features(images: np.ndarray | ArrayFile) -> tuple[list[int], np.ndarray]:
    """Return the hashes and thumbnails of images, which may be in a file."""
    hashes: list[int] = []
    small: list[np.ndarray] = []
    for part in slices(len(images), math.prod(images.shape[1:])):
        rows = take_rows(images, part)
        hashes += hash_images(rows).tolist()
        small.append(thumbnails(rows))
    return hashes, np.concatenate(small)


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Average images to small grey ones.

    Args:
        images: (n, c, h, w) uint8.

    Returns:
        (n, h' w') float32 in [0, 1], h' and w' being `SIDE`, or less where the images are smaller.
    """
    import torch
    from torch.nn import functional

    side = (min(images.shape[2], SIDE), min(images.shape[3], SIDE))
    found = [
        functional.adaptive_avg_pool2d(torch.from_numpy(part).float().mean(dim=1) / 255, side)
        for part in np.array_split(images, len(images) // 1000 + 1)
    ]
    return torch.cat(found).flatten(1).numpy()


def _pairs(chosen: np.ndarray, references: np.ndarray) -> np.ndarray:
    positions = np.flatnonzero(chosen)
    return np.stack([positions, references[positions]], axis=1)
