"""Pictures: untrusted files that Pillow decodes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from oodbench.errors import InvalidData, reason_of

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of the files in a folder that are taken for images."""

GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's modes of pictures without colours."""

LARGEST = 2**25
"""Pixels of a picture at most: a file of a few kilobytes can claim billions."""


class Header(NamedTuple):
    """What a picture's file says before its pixels are decoded."""

    width: int
    height: int
    is_grey: bool
    has_frames: bool


def read_header(path: Path) -> Header:
    """Return a picture's size, whether it is grey, and whether further frames or pages follow.

    Raises:
        InvalidData: if it cannot be read, is too large, or its values have no known range.
    """
    with _opened(path) as picture:
        (width, height), is_grey = picture.size, picture.mode in GREY  # of the first frame
        # What follows the picture in MPO, which is what many cameras write as JPEG, are previews.
        has_frames = getattr(picture, "is_animated", False) and picture.format != "MPO"
        return Header(width, height, is_grey, has_frames)


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as (h, w) or (h, w, 3) uint8; of several frames, it is the first.

    Of 16 bits, the upper 8 are kept by rounding.

    Raises:
        InvalidData: as `read_header`.
    """
    with _opened(path) as picture:
        if _has_16_bits(picture):
            return np.rint(np.asarray(picture) / 257).astype(np.uint8)
        return np.asarray(picture.convert("L" if picture.mode in GREY else "RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open a picture; its pixels are decoded in the block.

    Raises:
        InvalidData: as `read_header`, in the block as well.
    """
    from PIL import Image

    if not path.is_file():  # a named pipe would be waited for
        raise InvalidData(f"{path}: not a file; remove it, or put an image in its place")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            width, height = picture.size
            if width * height > LARGEST:
                raise InvalidData(
                    f"{path}: image is {width}x{height}; more than {LARGEST:,} pixels are not read"
                )
            if picture.mode in ("I", "F") and not _has_16_bits(picture):
                raise InvalidData(f"{path}: has 32 bits a pixel; convert it to 8 or 16")
            yield picture
    except InvalidData:
        raise
    except Exception as error:  # decoders raise anything on a file that is no image of theirs
        raise InvalidData(f"{path}: not a readable image: {reason_of(error)}") from error


def _has_16_bits(picture: ImageFile) -> bool:
    # Pillow reads grey of 16 bits from PGM files as "I", and scales it to the whole range.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM")
