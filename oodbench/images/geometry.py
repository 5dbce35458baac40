"""Images of packs and folders, fitted to the geometry of the ID data set."""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contracts import Dataset, ImageSet
from oodbench.errors import InvalidData, PluginError, reason_of
from oodbench.images.subsets import ClassSubset

CHUNK = 1_000
"""Images that are resized at a time, which bounds the memory for it."""


BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # among them a name that is no UTF-8
    RuntimeError,  # among them a kind of compression that Python lacks, and encryption
)
"""What reading a ZIP archive raises if it is damaged, but for OSError."""


_HEADERS = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
"""What reads the header of an array, by the version of its format."""

BOMB_BYTES, BOMB_RATIO = 2**26, 500
"""An array of more bytes, and so many times as large as what it is unpacked from, is refused."""


def read_pack(path: Path) -> ImageSet:
    """Read a pack: an .npz file with ``images``, ``labels`` and optionally a ``note``.

    Raises:
        InvalidData: if it is unreadable, truncated, or an array has another shape or dtype.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            for name in ("images", "labels"):
                if name not in names:
                    raise InvalidData(f"{path}: no array named '{name}' in it")
            images, labels = (_read_array(archive, name) for name in ("images", "labels"))
            note = str(_read_array(archive, "note")) if "note" in names else ""
    except InvalidData:
        raise
    except Exception as error:  # the readers of ZIP and NumPy raise anything on damaged files
        raise InvalidData(f"{path}: damaged or not an .npz file: {reason_of(error)}") from error
    return check_images(ImageSet(images, labels, note), path)


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read one array, whose header must say as many bytes as there are.

    Raises:
        ValueError: if it does not, or the bytes are too many to be images.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        raise ValueError(f"'{name}' unpacks to {info.file_size:,} bytes, which no images do")
    with archive.open(info) as file:
        major, _ = np.lib.format.read_magic(file)
        shape, _, dtype = _HEADERS[major](file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if size != info.file_size or not all(type(length) is int for length in shape):
        raise ValueError(f"'{name}' declares the shape {shape}, and is {info.file_size:,} bytes")
    with archive.open(info) as file:
        found: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return found


def check_images(images: ImageSet, source: Path | str) -> ImageSet:
    """Return the images if shapes and dtypes are as `ImageSet` says.

    Raises:
        InvalidData: if they are not; the message begins with ``source``.
    """
    shape, labels = images.images.shape, images.labels
    if images.images.dtype != np.uint8:
        raise InvalidData(f"{source}: images are {images.images.dtype}, not uint8")
    if len(shape) in (3, 4) and shape[0] == 0:
        raise InvalidData(f"{source}: there are no images in it")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or 0 in shape:
        raise InvalidData(f"{source}: images have shape {shape}, not (N, H, W) or (N, H, W, 3)")
    if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise InvalidData(
            f"{source}: labels are {labels.dtype} {labels.shape}, not int64 ({shape[0]},)"
        )
    if labels.min() < -1 or labels.max() > np.iinfo(np.int64).max:
        raise InvalidData(
            f"{source}: labels are {labels.min()} to {labels.max()}, not classes from 0 up, or -1 "
            "where there is none"
        )
    return ImageSet(images.images, labels.astype(np.int64), images.note)


def shape_of(dataset: Dataset) -> tuple[int, int, int]:
    """Return the shape of a data set's images, (c, h, w).

    Raises:
        PluginError: if that is not what the data set declares.
    """
    shape: Any = getattr(dataset, "shape", None)
    match shape:
        case (1 | 3, int() | np.integer() as height, int() | np.integer() as width) if (
            height > 0 and width > 0
        ):
            return int(shape[0]), int(height), int(width)
    raise PluginError(
        f"{type(dataset).__name__}.shape is {shape}; it must be (c, h, w) with 1 or 3 channels, "
        "such as (1, 28, 28)"
    )


def to_geometry(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Fit images to a geometry: to grey (ITU-R 601 luma), size (antialiased bilinear), channels.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        shape: (c, h, w) to fit to; c is 1 or 3.

    Returns:
        (N, c, h, w) uint8, C-contiguous.
    """
    channels, height, width = shape
    resize = images.shape[1:3] != (height, width)
    result = np.empty((len(images), channels, height, width), dtype=np.uint8)
    for start in range(0, len(images), CHUNK):
        chunk = np.asarray(images[start : start + CHUNK])
        if chunk.ndim == 4 and channels == 1:
            luma = chunk.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
            chunk = np.rint(luma).astype(np.uint8)
        planes = chunk[:, None] if chunk.ndim == 3 else np.moveaxis(chunk, 3, 1)
        if resize:
            planes = _resize(planes, height, width)
        result[start : start + len(chunk)] = planes  # one plane is repeated for three channels
    return result


def _resize(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    import torch
    from torch.nn import functional

    values = torch.from_numpy(np.ascontiguousarray(planes)).float()
    values = functional.interpolate(
        values, size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )
    return values.round_().clamp_(0, 255).to(torch.uint8).numpy()


def title_in(dataset: Dataset, shape: tuple[int, int, int]) -> str:
    """Return what the literature calls a data set once it is fitted to a geometry.

    Colours turned to grey give ``CIFAR-10-bw``, grey brought to colour ``MNIST-resized``; a change
    of size alone leaves the name.
    """
    if isinstance(dataset, ClassSubset):
        return f"{title_in(dataset.whole, shape)}, {dataset.which}"
    before, after = dataset.shape[0], shape[0]
    suffix = "" if before == after else "-bw" if after == 1 else "-resized"
    return dataset.info.label + suffix


def select(count: int, at_most: int, seed: int) -> np.ndarray:
    """Draw which of ``count`` images to use, by seed; all of them if there are not more.

    Returns:
        (min(count, at_most),) int64, ascending.
    """
    if count <= at_most:
        return np.arange(count)
    generator = np.random.Generator(np.random.Philox(seed))
    return np.sort(generator.permutation(count)[:at_most])
