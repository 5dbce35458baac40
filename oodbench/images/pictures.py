"""Pictures: untrusted files that Pillow decodes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from oodbench.errors import InvalidData, reason_of

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of the files in a folder that are taken for images."""

GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
"""Pillow's modes of pictures without colours."""

LARGEST = 178_956_970
"""Pixels of a picture at most, since a file of a few kilobytes can claim billions; Pillow reads no
larger ones either. One of so many takes 0.7 GB of memory while it is decoded, 4 bytes a pixel, and
1.4 GB where it is converted, because of a palette or transparency."""


class Encoded(NamedTuple):
    """A picture in memory: what to call it, and the bytes of its file."""

    name: str
    content: bytes


Encoding: TypeAlias = Path | Encoded
"""Where a picture is."""


class Header(NamedTuple):
    """What a picture's file says before its pixels are decoded."""

    width: int
    height: int
    is_grey: bool
    has_frames: bool


def read_header(source: Encoding) -> Header:
    """Return a picture's size, whether it is grey, and whether further frames or pages follow.

    Raises:
        InvalidData: if it cannot be read, is too large, or its values have no known range.
    """
    with _opened(source) as picture:
        (width, height), is_grey = picture.size, picture.mode in GREY  # of the first frame
        # What follows the picture in MPO, which is what many cameras write as JPEG, are previews.
        has_frames = getattr(picture, "is_animated", False) and picture.format != "MPO"
        return Header(width, height, is_grey, has_frames)


def read_picture(source: Encoding, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a picture as (h, w) or (h, w, 3) uint8; of several frames, it is the first.

    Of 16 bits, the upper 8 are kept by rounding.

    Args:
        source: where the picture is.
        size: (h, w) to fit it to (`fit_picture`); by default it is taken as it is.

    Raises:
        InvalidData: as `read_header`.
    """
    from PIL import Image

    with _opened(source) as picture:
        mode = "L" if picture.mode in GREY else "RGB"
        found: Image.Image = picture
        if _has_16_bits(picture):
            found = Image.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8))
        elif picture.mode != mode:
            found = picture.convert(mode)
        return np.asarray(found if size is None else fit_picture(found, *size))


def fit_picture(picture: Image.Image, height: int, width: int) -> Image.Image:
    """Return the largest centred part of a picture that has some aspect ratio, resized.

    That is to resize its shorter side and to cut out the centre. The filter is bilinear, widened
    where the picture is reduced, so that nothing is skipped.

    Args:
        picture: grey or of three colours, of 8 bits each.
        height: of the result.
        width: of the result.
    """
    from PIL.Image import Resampling

    if picture.size == (width, height):
        return picture
    is_wide = picture.width * height >= picture.height * width  # compared in whole numbers
    part_width = picture.height * width / height if is_wide else picture.width
    part_height = picture.height if is_wide else picture.width * height / width
    left, top = (picture.width - part_width) / 2, (picture.height - part_height) / 2
    box = (left, top, left + part_width, top + part_height)
    return picture.resize((width, height), Resampling.BILINEAR, box)


class Encodings(Protocol):
    """Pictures in some order."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> Encoding: ...


class Pictures:
    """Pictures that are decoded and fitted when they are asked for, each on its own.

    They stand in for an array (n, h, w) or (n, h, w, 3) uint8. Indexed by a number they give one
    decoded picture, by several axes an array, and by anything else some of the pictures as another
    object of this class, which ``numpy.asarray`` decodes.

    Args:
        encodings: where the pictures are.
        shape: (c, h, w) to fit to; c is 1 if all are grey, else 3.
        chosen: (n,) their positions among the encodings; all by default.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, encodings: Encodings, shape: tuple[int, int, int], chosen: np.ndarray | None = None
    ) -> None:
        self._encodings = encodings
        self._geometry = shape
        self._chosen = np.arange(len(encodings)) if chosen is None else chosen

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the array that they stand in for."""
        channels, *size = self._geometry
        return (len(self._chosen), *size, *([3] if channels == 3 else []))

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self._decode(int(self._chosen[index]))
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        return Pictures(self._encodings, self._geometry, self._chosen[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        decoded = np.empty(self.shape, dtype=np.uint8)
        for place, position in zip(decoded, self._chosen, strict=True):
            place[:] = self._decode(int(position))
        return decoded if dtype is None else decoded.astype(dtype)

    def _decode(self, position: int) -> np.ndarray:
        channels, height, width = self._geometry
        picture = read_picture(self._encodings[position], (height, width))
        if channels == 3 and picture.ndim == 2:
            return np.repeat(picture[..., None], 3, axis=2)
        if channels == 1 and picture.ndim == 3:
            name = name_of(self._encodings[position])
            raise InvalidData(f"{name}: was changed since the run began")
        return picture


def name_of(source: Encoding) -> str:
    """Return what to call a picture in a message."""
    return source.name if isinstance(source, Encoded) else str(source)


@contextmanager
def _opened(source: Encoding) -> Iterator[ImageFile]:
    """Open a picture; its pixels are decoded in the block.

    Raises:
        InvalidData: as `read_header`, in the block as well.
    """
    from PIL import Image

    name = name_of(source)
    if isinstance(source, Path) and not source.is_file():  # a named pipe would be waited for
        raise InvalidData(f"{name}: not a file; remove it, or put an image in its place")
    place = source if isinstance(source, Path) else io.BytesIO(source.content)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(place) as picture:
            width, height = picture.size
            if width * height > LARGEST:
                raise InvalidData(
                    f"{name}: image is {width}x{height}; more than {LARGEST:,} pixels are not read"
                )
            if picture.mode in ("I", "F") and not _has_16_bits(picture):
                raise InvalidData(f"{name}: has 32 bits a pixel; convert it to 8 or 16")
            yield picture
    except InvalidData:
        raise
    except Exception as error:  # decoders raise anything on a file that is no image of theirs
        raise InvalidData(f"{name}: not a readable image: {reason_of(error)}") from error


def _has_16_bits(picture: ImageFile) -> bool:
    # Pillow reads grey of 16 bits from PGM files as "I", and scales it to the whole range.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM")
