"""Write small files of the very formats in which data sets are published."""

import hashlib
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image


def pictures(count, *shape, seed=0):
    """Return ``count`` different images of a shape, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_idx(path, array):
    """Write an array of bytes as an IDX file, big-endian header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def pickled_by_python_2(images, labels, labels_key):
    """Return a batch of CIFAR as its authors pickled it: planes of red, green and blue in rows.

    NumPy was at ``numpy.core`` then, and wrote the flags of a dtype as 0 and 1.
    """
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    batch = pickle.dumps({"data": rows, labels_key: [int(label) for label in labels]}, protocol=2)
    flags = b"\x89\x88\x87"  # False, True, a tuple of them and what precedes
    assert batch.count(flags) == 1
    batch = batch.replace(flags, b"K\x00K\x01\x87")
    return batch.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def png(image):
    """Return an image as the content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def write_archive(path, members):
    """Write a .zip or .tar.gz archive of contents by name, in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def md5(path):
    """Return the MD5 digest of a file, in hexadecimal."""
    return hashlib.md5(path.read_bytes()).hexdigest()
