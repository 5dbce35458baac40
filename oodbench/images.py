"""Read images from packs and folders, and fit them to the geometry of the ID data set."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet
from oodbench.errors import InvalidData

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


def read_pack(path: Path) -> ImageSet:
    """Read a pack: an .npz file with ``images``, ``labels`` and optionally a ``note``.

    Raises:
        InvalidData: if it is unreadable, truncated, or an array has another shape or dtype.
    """
    try:
        with path.open("rb") as file:
            pack = np.load(file, allow_pickle=False)
            if not isinstance(pack, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            missing = {"images", "labels"} - set(pack.files)
            if missing:
                raise InvalidData(f"{path}: no array named '{min(missing)}' in it")
            images, labels = pack["images"], pack["labels"]
            note = str(pack["note"]) if "note" in pack.files else ""
    except (OSError, *BROKEN_ZIP) as error:
        raise InvalidData(f"{path}: damaged or not an .npz file: {error}") from error
    return check_images(ImageSet(images, labels, note), path)


def check_images(images: ImageSet, source: Path | str) -> ImageSet:
    """Return the images if shapes and dtypes are as `ImageSet` says.

    Raises:
        InvalidData: if they are not; the message begins with ``source``.
    """
    shape = images.images.shape
    if images.images.dtype != np.uint8:
        raise InvalidData(f"{source}: images are {images.images.dtype}, not uint8")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or 0 in shape:
        raise InvalidData(f"{source}: images have shape {shape}, not (N, H, W) or (N, H, W, 3)")
    if images.labels.shape != shape[:1] or images.labels.dtype.kind not in "iu":
        raise InvalidData(
            f"{source}: labels are {images.labels.dtype} {images.labels.shape}, "
            f"not int64 ({shape[0]},)"
        )
    return ImageSet(images.images, images.labels.astype(np.int64), images.note)


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
