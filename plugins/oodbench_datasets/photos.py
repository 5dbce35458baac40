"""Patches of the photographs that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info

SIDE = 32
"""Side of a patch, in pixels."""

REDUCTIONS = (1, 2, 3, 4)
"""A patch shows a square of the photograph that is this many times as wide."""

GRID = (10, 13)
"""Rows and columns of patches, evenly spaced over the photograph, at every scale."""


class PhotoPatches(Dataset):
    """Patches of scikit-learn's photographs of a Chinese temple and a flower; no download.

    130 places x 4 scales x 2 photographs make 1,040 patches, of which a fifth shows sky or a
    blurred background and is nearly flat. Neighbours overlap, so that they say less about a
    detector than as many independent photographs would.
    """

    info = Info(
        name="photo-patches",
        title="PhotoPatches",
        summary="Patches of scikit-learn's two photographs, 32x32, colour; no download.",
    )
    shape = (3, SIDE, SIDE)
    splits = ("test",)

    def load(self, root: Path, split: str) -> ImageSet:
        """Cut the patches: (1040, 32, 32, 3) uint8, by photograph, scale and place."""
        from sklearn.datasets import load_sample_image

        patches = [
            patch
            for name in ("china.jpg", "flower.jpg")
            for reduction in REDUCTIONS
            for patch in _patches(load_sample_image(name), reduction)
        ]
        return ImageSet(np.stack(patches), np.full(len(patches), -1, dtype=np.int64))


def _patches(photograph: np.ndarray, reduction: int) -> list[np.ndarray]:
    """Cut patches of one scale, every pixel the mean of ``reduction`` x ``reduction`` pixels.

    Args:
        photograph: (h, w, 3) uint8.
        reduction: pixels of the photograph to a pixel of the patch, along each side.
    """
    width = SIDE * reduction
    tops = np.linspace(0, photograph.shape[0] - width, GRID[0]).astype(int)
    lefts = np.linspace(0, photograph.shape[1] - width, GRID[1]).astype(int)
    squares = (photograph[top : top + width, left : left + width] for top in tops for left in lefts)
    return [
        np.rint(square.reshape(SIDE, reduction, SIDE, reduction, 3).mean((1, 3))).astype(np.uint8)
        for square in squares
    ]
