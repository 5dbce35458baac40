"""Images are found as a pack, as files of their own or by download, and known by their content."""

from __future__ import annotations

import importlib
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.contracts import Dataset, DataUnavailable, ImageSet, Info
from oodbench.errors import InvalidData, UserError
from oodbench.images.sources import locate
from oodbench.images.userdata import UserImages
from oodbench.store.leases import leased


class Stored(Dataset):
    """Reads one file, which `prepare` fetches from another folder."""

    info = Info(name="stored", summary="Stored.")
    shape = (1, 2, 2)

    def __init__(self, *, scale: int = 1, origin: Path | None = None) -> None:
        self.scale = scale
        self.origin = origin

    def files(self, root, split):
        return (root / "raw" / f"{split}.bin",)

    def prepare(self, root, split):
        if self.origin is None:
            raise DataUnavailable(f"get {split}.bin from somewhere")
        (root / "raw").mkdir(exist_ok=True)
        shutil.copy(self.origin / f"{split}.bin", root / "raw" / f"{split}.bin")

    def load(self, root, split):
        content = np.frombuffer(self.files(root, split)[0].read_bytes(), dtype=np.uint8)
        images = content.reshape(-1, 2, 2) * self.scale
        return ImageSet(images, np.zeros(len(images), dtype=np.int64))


def write_files(root: Path, content: bytes = bytes(8)) -> None:
    (root / "raw").mkdir(parents=True, exist_ok=True)
    (root / "raw" / "test.bin").write_bytes(content)


def write_pack(path: Path, value: int = 5) -> Path:
    np.savez(path, images=np.full((2, 2, 2), value, dtype=np.uint8), labels=np.zeros(2, np.int64))
    return path


def test_files_of_the_data_set_itself_are_found(tmp_path: Path) -> None:
    write_files(tmp_path)
    source = locate(Stored(), "test", tmp_path, download=False)
    assert source.pack is None
    assert source.load().images.shape == (2, 2, 2)


def test_a_pack_comes_before_files(tmp_path: Path) -> None:
    write_files(tmp_path)
    pack = write_pack(tmp_path / "stored-test.npz")
    source = locate(Stored(), "test", tmp_path)
    assert source.pack == pack
    assert source.load().images.max() == 5


def test_what_is_missing_is_fetched_once(tmp_path: Path) -> None:
    origin, root = tmp_path / "origin", tmp_path / "data"
    origin.mkdir()
    (origin / "test.bin").write_bytes(bytes(8))
    assert len(locate(Stored(origin=origin), "test", root).load()) == 2
    shutil.rmtree(origin)
    assert len(locate(Stored(origin=origin), "test", root).load()) == 2


def test_what_another_process_fetches_is_waited_for(tmp_path: Path) -> None:
    taken = threading.Event()

    def fetch() -> None:
        with leased(tmp_path, ".fetching-stored"):
            taken.set()
            time.sleep(0.3)
            write_files(tmp_path)

    other = threading.Thread(target=fetch)
    other.start()
    taken.wait()
    source = locate(Stored(), "test", tmp_path)  # which cannot fetch it itself
    other.join()
    assert source.load().images.shape == (2, 2, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_without_download_the_message_names_pack_and_command(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"stored-test\.npz.*oodbench data prepare stored"):
        locate(Stored(), "test", tmp_path, download=False)


def test_what_cannot_be_fetched_has_the_reason_of_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"get test\.bin from somewhere"):
        locate(Stored(), "test", tmp_path)


def test_a_download_that_brings_nothing_is_noticed(tmp_path: Path) -> None:
    class Lazy(Stored):
        def prepare(self, root, split):
            return

    with pytest.raises(DataUnavailable, match="still missing after download"):
        locate(Lazy(), "test", tmp_path)


def test_a_download_that_raises_anything_has_its_reason(tmp_path: Path) -> None:
    class Refused(Stored):
        def prepare(self, root, split):
            raise ConnectionRefusedError("no route")

    with pytest.raises(DataUnavailable, match="'stored' cannot be fetched: ConnectionRefusedError"):
        locate(Refused(), "test", tmp_path)


def test_a_data_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"data folder .*file.* cannot be made"):
        locate(Stored(), "test", tmp_path / "file" / "below")


def test_a_split_that_does_not_exist_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"'stored' has no validation split \(it has: train, test\)"
    ):
        locate(Stored(), "validation", tmp_path)


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def garble(path: Path) -> None:
    path.write_bytes(b"no images at all")


def damage_compressed(path: Path) -> None:
    with np.load(path) as pack:
        np.savez_compressed(path, **pack)
    damage_middle(path)


@pytest.mark.parametrize("damage", [damage_middle, damage_compressed, truncate, garble])
def test_a_damaged_pack_is_named_before_anything_is_computed(tmp_path: Path, damage) -> None:
    damage(write_pack(tmp_path / "stored-test.npz"))
    with pytest.raises(InvalidData, match=r"stored-test\.npz: (truncated|damaged)"):
        locate(Stored(), "test", tmp_path)


def test_a_data_set_that_breaks_its_word_is_named(tmp_path: Path) -> None:
    write_files(tmp_path)

    class Wrong(Stored):
        def load(self, root, split):
            return ImageSet(np.zeros((2, 2)), np.zeros(2))

    with pytest.raises(InvalidData, match="stored-test: images are float64, not uint8"):
        locate(Wrong(), "test", tmp_path).load()


def fingerprint(root: Path, dataset: Dataset | None = None) -> str:
    return locate(dataset or Stored(), "test", root).fingerprint


def test_equal_bytes_have_equal_fingerprints_wherever_they_lie(tmp_path: Path) -> None:
    write_files(tmp_path / "here")
    write_files(tmp_path / "there")
    assert fingerprint(tmp_path / "here") == fingerprint(tmp_path / "there")


def test_other_bytes_have_another_fingerprint(tmp_path: Path) -> None:
    write_files(tmp_path)
    before = fingerprint(tmp_path)
    write_files(tmp_path, bytes(7) + b"\1")
    assert fingerprint(tmp_path) != before


def test_parameters_of_the_data_set_count(tmp_path: Path) -> None:
    write_files(tmp_path)
    assert fingerprint(tmp_path) != fingerprint(tmp_path, Stored(scale=2))


def test_a_pack_counts_by_its_bytes_alone(tmp_path: Path) -> None:
    write_pack(tmp_path / "stored-test.npz")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path, Stored(scale=2)) == before
    write_pack(tmp_path / "stored-test.npz", value=6)
    assert fingerprint(tmp_path) != before


READS_WITH_LIBRARY = """
from oodbench.contracts import Dataset, Info
import lib

class Shelf(Dataset):
    info = Info(name="shelf", summary="On a shelf.")
    shape = (1, 2, 2)

    def __init__(self, *, stored=False):
        self.stored = stored

    def files(self, root, split):
        return (root / "raw" / f"{split}.bin",) if self.stored else ()

    def load(self, root, split):
        raise NotImplementedError
"""


def test_the_version_of_a_library_counts_where_it_computes_the_images(install, tmp_path) -> None:
    write_files(tmp_path)
    folder = install("lib", "")
    metadata = folder / "lib_dist-1.0.dist-info"
    (metadata / "top_level.txt").write_text("lib\n")
    install("shelf", READS_WITH_LIBRARY)
    shelf = importlib.import_module("shelf").Shelf

    def fingerprints(version: str) -> list[str]:
        (metadata / "METADATA").write_text(f"Name: lib-dist\nVersion: {version}\n")
        importlib.invalidate_caches()
        return [fingerprint(tmp_path, shelf(stored=stored)) for stored in (True, False)]

    (read, computed), (read_anew, computed_anew) = fingerprints("1.0"), fingerprints("1.1")
    assert read == read_anew
    assert computed != computed_anew


@pytest.mark.parametrize("kind", ["files", "pack", "folder"])
def test_images_that_were_changed_since_they_were_found_are_refused(
    tmp_path: Path, kind: str
) -> None:
    if kind == "folder":
        source = locate(folder(tmp_path / "mine"), "test", tmp_path)
    elif kind == "pack":
        write_pack(tmp_path / "stored-test.npz")
        source = locate(Stored(), "test", tmp_path)
    else:
        write_files(tmp_path)
        source = locate(Stored(), "test", tmp_path)
    source.verify()
    if kind == "folder":
        folder(tmp_path / "mine", value=7)
    elif kind == "pack":
        write_pack(tmp_path / "stored-test.npz", value=7)
    else:
        write_files(tmp_path, bytes([7] * 8))
    with pytest.raises(InvalidData, match="were changed since the run began; run the same"):
        source.verify()


def folder(path: Path, value: int = 1) -> Dataset:
    path.mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("L", (4, 4), value).save(path / name)
    return UserImages(path=str(path))


def test_the_name_that_a_user_gave_a_folder_does_not_count(tmp_path: Path) -> None:
    before = fingerprint(tmp_path, folder(tmp_path / "mine"))
    assert fingerprint(tmp_path, folder(tmp_path / "yours")) == before
    assert fingerprint(tmp_path, folder(tmp_path / "other", value=2)) != before


def test_the_name_that_a_user_gave_a_pack_does_not_count(tmp_path: Path) -> None:
    packs = [UserImages(path=str(write_pack(tmp_path / f"{name}.npz"))) for name in "ab"]
    assert fingerprint(tmp_path, packs[0]) == fingerprint(tmp_path, packs[1])


def test_the_class_of_a_users_image_counts(tmp_path: Path) -> None:
    for layout, second in (("one", "cat"), ("two", "dog")):
        for name, value in (("cat/a.png", 1), (f"{second}/b.png", 2)):
            path = tmp_path / layout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), value).save(path)
    one, two = (UserImages(path=str(tmp_path / layout)) for layout in ("one", "two"))
    assert fingerprint(tmp_path, one) != fingerprint(tmp_path, two)


def test_a_pack_in_the_data_folder_does_not_stand_in_for_a_users_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_pack(tmp_path / "data" / "mine-test.npz")
    source = locate(folder(tmp_path / "mine"), "test", tmp_path / "data")
    assert np.asarray(source.load().images).max() == 1
