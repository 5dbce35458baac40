"""Hostile packs, pictures and folders of images are read, or refused in a sentence."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness import Oodbench, fuzzed
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytestmark = pytest.mark.slow

EXAMPLES = 700
"""Inputs of each of the three kinds."""


ONE_REGISTRY = """
import functools
import oodbench.registry.lookup as lookup
lookup.load_registry = functools.cache(lookup.load_registry)
"""
"""Code that has a process look for plugins once, which takes longer than most inputs."""


@pytest.fixture(scope="module")
def oodbench() -> Iterator[Oodbench]:
    """Return a process that runs commands."""
    with Oodbench(ONE_REGISTRY) as process:
        yield process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for one input after another."""
    return tmp_path_factory.mktemp("images")


def verify(oodbench: Oodbench, path: Path) -> None:
    """Read all images of a path; what is wrong with them is known, and not just any exception."""
    finished = oodbench("data", "verify", str(path))
    assert ".py:" not in finished.output + finished.errors


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Return bytes of which some are changed, cut out or put in."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        kind = draw(st.sampled_from(("replace", "cut", "insert", "end")))
        extra = draw(st.binary(min_size=1, max_size=8))
        if kind == "end":
            del changed[place:]
        elif kind == "cut":
            del changed[place : place + len(extra)]
        else:
            changed[place : place + (len(extra) if kind == "replace" else 0)] = extra
    return bytes(changed)


SMALL = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)

SIZES = st.sampled_from((0, 1, 3, 6, 8, 10**6, 10**12, 2**63, -1, True, 2.5, None, "n"))
DTYPES = st.sampled_from(
    ("|u1", "<i8", "<f4", "|O", "<U9", "<M8[s]", "|V3", [("a", "|u1")], "?", 7)
)


@st.composite
def headers(draw: st.DrawFn) -> str:
    """Return the header of an array, which may say anything."""
    shape = tuple(draw(st.lists(SIZES, max_size=5)))
    order = draw(st.sampled_from((True, False, 3)))
    header = f"{{'descr': {draw(DTYPES)!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    return draw(st.sampled_from((header, header[:-9], "(" * 300 + header, header + "\0", "")))


@st.composite
def arrays(draw: st.DrawFn, good: np.ndarray) -> bytes:
    """Return the file of an array: sound, changed, or with a header of another."""
    file = io.BytesIO()
    np.save(file, good)
    if draw(st.booleans()):
        return draw(mutated(file.getvalue()))
    text = draw(headers()).encode() + b"\n"
    version = draw(st.sampled_from((1, 2, 3, 9)))
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + good.tobytes()


@st.composite
def packs(draw: st.DrawFn) -> bytes:
    """Return the bytes of a pack."""
    file = io.BytesIO()
    kind = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))
    good = {"images": SMALL, "labels": np.arange(6), "note": np.array("a note")}
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, array in good.items():
            if draw(st.integers(0, 9)):
                archive.writestr(f"{name}.npy", draw(arrays(array)))
    content = file.getvalue()
    return content if draw(st.booleans()) else draw(mutated(content))


@fuzzed(EXAMPLES)
@given(content=packs())
def test_a_pack(oodbench: Oodbench, folder: Path, content: bytes) -> None:
    path = folder / "odd.npz"
    path.write_bytes(content)
    verify(oodbench, path)


FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def encoded(kind: str, mode: str) -> bytes:
    """Return a small picture as a file of one kind."""
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


FILES = [encoded(kind, mode) for kind in FORMATS for mode in ("L", "RGB")]


@fuzzed(EXAMPLES)
@given(content=st.sampled_from(FILES).flatmap(mutated))
def test_a_picture(oodbench: Oodbench, folder: Path, content: bytes) -> None:
    path = folder / "odd.png"
    path.write_bytes(content)
    verify(oodbench, path)


PLAIN = ("train", "test", "Train", "val", "cat", "dog", ".hidden", "__MACOSX")
ODD = ("a\nb", "a\x1b[2J", "\u202eevil", "\udcff", "x.png", "x.npz", "labels.csv", "-rf", "n" * 255)
NAMES = st.sampled_from((*PLAIN, *ODD))

ENTRIES = st.tuples(
    st.lists(NAMES, min_size=1, max_size=3),
    st.sampled_from(("picture", "other", "empty", "text", "folder", "link", "loop", "dangling")),
)


def place(root: Path, names: list[str], kind: str) -> None:
    """Put something into a folder, unless something else is in its place."""
    path = root.joinpath(*names)
    if kind in ("picture", "other", "empty"):
        path = path.with_name(path.name[:200] + ".png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(root / "cat")
        elif kind == "loop":
            path.symlink_to(root)
        elif kind == "dangling":
            path.symlink_to(root / "nowhere")
        else:
            size = (3, 5) if kind == "other" else (4, 4)
            content = io.BytesIO()
            Image.new("L", size, len(names)).save(content, "PNG")
            path.write_bytes({"empty": b"", "text": b"a,b\n1,2\n"}.get(kind, content.getvalue()))
    except OSError:
        return


@fuzzed(EXAMPLES)
@given(entries=st.lists(ENTRIES, max_size=12))
def test_a_folder(oodbench: Oodbench, folder: Path, entries: list) -> None:
    root = folder / "own"
    root.mkdir()
    try:
        for names, kind in entries:
            place(root, names, kind)
        verify(oodbench, root)
    finally:
        shutil.rmtree(root)
