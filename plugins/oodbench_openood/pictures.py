"""Pictures that are decoded when needed, cropped to one geometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.contracts import InvalidData

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE = 224
"""Geometries of at least this size are cut out of a larger picture (`MARGIN`)."""

MARGIN = 256 / 224
"""By how much that picture exceeds the geometry: OpenOOD reduces to 256 and cuts out 224."""


def fit_picture(picture: Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Reduce a picture until it just covers a geometry, bilinearly, and cut out its centre.

    This is what OpenOOD v1.5 does with every picture (``Resize`` and ``CenterCrop`` of
    torchvision, to 32 and 32 pixels, or to 256 and 224), to the last bit.

    Args:
        picture: of any size and mode.
        shape: (c, h, w) to fit to; c is 1 or 3.

    Returns:
        (h, w) or (h, w, 3) uint8.
    """
    from PIL.Image import Resampling

    channels, height, width = shape
    margin = MARGIN if min(height, width) >= LARGE else 1.0
    least_height, least_width = round(margin * height), round(margin * width)
    if picture.width * least_height <= picture.height * least_width:
        size = least_width, int(least_width * picture.height / picture.width)
    else:
        size = int(least_height * picture.width / picture.height), least_height
    reduced = picture.convert("L" if channels == 1 else "RGB").resize(size, Resampling.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return np.array(reduced.crop((left, top, left + width, top + height)))


class Pictures:
    """Pictures in files, which stand in for an array (n, h, w) or (n, h, w, 3) uint8.

    Indexed by a number they give one decoded picture; indexed by anything else, those pictures
    as another object of this class, which ``numpy.asarray`` decodes. So code that takes them chunk
    by chunk holds no more than a chunk.

    Args:
        files: the pictures.
        shape: (c, h, w) of the decoded pictures.
        ready: which of them are of that size already and are taken as they are; by default none.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        ready: np.ndarray | None = None,
    ) -> None:
        self._files = np.array(files, dtype=object)
        self._geometry = shape
        self._ready = np.zeros(len(files), dtype=bool) if ready is None else ready

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the array that they stand in for."""
        channels, *size = self._geometry
        return (len(self._files), *size, *([3] if channels == 3 else []))

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self._decode(self._files[index], bool(self._ready[index]))
        return Pictures(self._files[index], self._geometry, self._ready[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        decoded = np.empty(self.shape, dtype=np.uint8)
        for position in range(len(self)):
            decoded[position] = self[position]
        return decoded if dtype is None else decoded.astype(dtype)

    def _decode(self, path: Path, ready: bool) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(path) as picture:
                if not ready:
                    return fit_picture(picture, self._geometry)
                found = np.array(picture.convert("L" if self._geometry[0] == 1 else "RGB"))
        except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for broken PNG files
            raise InvalidData(f"{path}: not a readable picture ({error})") from error
        if found.shape != self.shape[1:]:
            size = f"{found.shape[1]}x{found.shape[0]}"
            raise InvalidData(f"{path}: is {size} pixels, and OpenOOD takes it as it is")
        return found
