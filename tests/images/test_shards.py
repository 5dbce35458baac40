"""Images in the format of WebDataset are read in place, and nothing is extracted."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import oodbench
from oodbench.errors import InvalidData
from oodbench.images.userdata import UserImages


def picture(value: int, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def shard(values: range, classes: int = 2) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for value in values:
        found[f"{value:04}.cls"] = str(value % classes).encode()
        found[f"{value:04}.json"] = b"{}"
        found[f"{value:04}.png"] = picture(value)
    return found


def test_pictures_and_labels_of_several_shards_are_read_in_order(tmp_path: Path) -> None:
    write_tar(tmp_path / "set" / "b-000001.tar", shard(range(10, 14)))
    write_tar(tmp_path / "set" / "a-000000.tar", shard(range(10)))
    images = UserImages(path=str(tmp_path / "set"))
    found = images.load(tmp_path, "test")
    assert images.splits == ("test",)
    assert images.shape == (1, 8, 8)
    assert [int(each.max()) for each in np.asarray(found.images[:])] == list(range(14))
    assert found.labels.tolist() == [value % 2 for value in range(14)]
    assert "14 images in 2 classes (0, 1)" in images.describe("test")


def test_folders_and_dots_in_names_and_texts_as_labels(tmp_path: Path) -> None:
    files = {
        "cats/1.left.png": picture(1),
        "cats/1.cls": b"cat",
        "dogs/1.png": picture(2),
        "dogs/1.cls": b"dog\n",
    }
    images = UserImages(path=str(write_tar(tmp_path / "pets.tar", files)))
    assert images.load(tmp_path, "test").labels.tolist() == [0, 1]
    assert images.describe("test").startswith("2 images in 2 classes (cat, dog)")


def test_without_labels_there_is_no_class(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"1.png": picture(1)})
    assert UserImages(path=str(path)).load(tmp_path, "test").labels.tolist() == [-1]


def test_pictures_can_be_sent_to_another_process(tmp_path: Path) -> None:
    images = UserImages(path=str(write_tar(tmp_path / "set.tar", shard(range(3)))))
    again = pickle.loads(pickle.dumps(images))
    assert np.array_equal(
        again.load(tmp_path, "test").images[:], images.load(tmp_path, "test").images[:]
    )


@pytest.mark.parametrize(
    ("files", "mode", "message"),
    [
        ({"1.png": picture(1)}, "w:gz", "no readable tar file"),
        ({"1.png": picture(1), "1.jpg": picture(2)}, "w", "two pictures are called 1"),
        ({"1.png": picture(1), "1.cls": b"x" * 2000}, "w", "too long for a label: 2,000 bytes"),
        ({"1.png": picture(1), "1.cls": b"\xff"}, "w", "is no text"),
        ({"1.txt": b"a"}, "w", "there are no images in it"),
        ({"1.png": picture(1), "1.cls": b"9" * 30}, "w", "nor whole numbers below"),
        ({"1.png": b"no picture"}, "w", "1.png"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, files, mode, message) -> None:
    path = write_tar(tmp_path / "set.tar", files, mode)
    with pytest.raises(InvalidData, match=message):
        UserImages(path=str(path))


def test_a_shard_that_ends_too_early_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"1.png": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InvalidData, match=r"set\.tar"):
        UserImages(path=str(path))


def test_links_and_paths_in_a_shard_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        content = picture(7)
        member = tarfile.TarInfo("../../1.png")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    images = UserImages(path=str(path)).load(tmp_path, "test").images
    assert np.asarray(images[:]).max() == 7
    assert len(images) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["set.tar"]


def test_a_run_takes_shards_as_id_and_ood_sets(tmp_path: Path) -> None:
    for split, values in (("train", range(40)), ("test", range(40, 80))):
        write_tar(tmp_path / "id" / f"{split}-0.tar", shard(values))
    write_tar(tmp_path / "ood.tar", {f"{n}.png": picture(200 + n) for n in range(10)})
    run = oodbench.run(
        tmp_path / "id",
        ["msp"],
        ood=[tmp_path / "ood.tar"],
        classifier="preact-resnet",
        parameters={"preact-resnet": {"epochs": 1, "width": 4}},
        validation_images=0,
        store=tmp_path / "store",
        out=tmp_path / "run",
        engine="inline",
        device="cpu",
    )
    (row,) = run.records[run.records["ood_dataset"] != ""].to_dict("records")
    assert (row["n_id"], row["n_ood"], row["status"]) == (40, 10, "ok")
