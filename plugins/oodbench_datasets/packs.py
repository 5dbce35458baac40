"""Packs of images that another data set reads."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from oodbench.contracts import ImageSet, InvalidData


def read_pack(path: Path, channels: int) -> ImageSet:
    """Read a pack; grey images are repeated where the set is in colour.

    Raises:
        InvalidData: if it is damaged, or no pack.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as pack:
            note = str(pack["note"]) if "note" in pack.files else ""
            images, labels = pack["images"], pack["labels"].astype(np.int64)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(f"{path}: damaged, or not a pack ({error})") from error
    if images.ndim == 3 and channels == 3:
        images = np.broadcast_to(images[..., None], (*images.shape, 3))
    return ImageSet(images, labels, note)
