"""Data sets in the format of Hugging Face are read, and no file that they name is opened."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from oodbench.errors import InvalidData, UserError
from oodbench.images.userdata import UserImages

NAMES = ["cat", "dog", "eel"]


def encoded(value: int, size: tuple[int, int] = (6, 4), kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(written, kind)
    return written.getvalue()


def write(
    path: Path,
    labels: list[object] | None,
    *,
    images: list[bytes | None] | None = None,
    names: list[str] | None = NAMES,
    columns: tuple[str, str] = ("image", "label"),
    rows: int = 2,
) -> None:
    """Write a file as the library of Hugging Face does, in row groups of some rows."""
    images = images or [encoded(number) for number in range(len(labels or [0]))]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    structs = [{"bytes": each, "path": "/etc/passwd"} for each in images]
    content = {columns[0]: pa.array(structs, kind)}
    features: dict[str, object] = {columns[0]: {"_type": "Image"}}
    if labels is not None:
        content[columns[1]] = pa.array(labels)
        features[columns[1]] = {"names": names, "_type": "ClassLabel"} if names else {}
    table = pa.table(content)
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(about), path, row_group_size=rows)


def images_of(dataset: UserImages, split: str = "test") -> list[int]:
    """Return the red value of each image."""
    return np.asarray(dataset.load(Path(), split).images)[:, 0, 0, 0].tolist()


def test_splits_labels_and_classes_are_those_of_the_files(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00000-of-00002.parquet", [0, 1, 2, 0, 1])
    write(tmp_path / "data" / "train-00001-of-00002.parquet", [2, 2])
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", [1])
    write(tmp_path / "data" / "test-00000-of-00001.parquet", [2, 0])
    dataset = UserImages(path=str(tmp_path))
    assert dataset.splits == ("train", "test", "validation")
    assert (dataset.shape, dataset.num_classes) == ((3, 4, 6), 3)
    assert images_of(dataset, "train") == [0, 1, 2, 3, 4, 0, 1]
    assert dataset.labels("train").tolist() == [0, 1, 2, 0, 1, 2, 2]
    assert dataset.labels("test").tolist() == [2, 0]
    assert "train: 7 images in 3 classes (cat, dog, eel)" in dataset.note("test")
    assert [path.name[:5] for path in dataset.files(tmp_path, "train")] == ["train", "train"]


def test_a_set_can_go_to_another_process(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet", [0, 1, 2])
    dataset = UserImages(path=str(tmp_path))
    assert images_of(dataset) == [0, 1, 2]
    assert images_of(pickle.loads(pickle.dumps(dataset))) == [0, 1, 2]


@pytest.mark.parametrize("name", ["train/0000.parquet", "default/train/0.parquet", "train.parquet"])
def test_the_split_is_in_the_name_of_the_file_or_its_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, [0, 1])
    write(tmp_path / name.replace("train", "test"), [0, 1])
    assert UserImages(path=str(tmp_path)).splits == ("train", "test")


def test_files_without_a_split_are_an_ood_set(tmp_path: Path) -> None:
    write(tmp_path / "part-0.parquet", None)
    dataset = UserImages(path=f"{tmp_path}/part-0.parquet")
    assert (dataset.splits, dataset.info.name) == (("test",), "part-0")
    assert dataset.load(tmp_path, "test").labels.tolist() == [-1]
    write(tmp_path / "train.parquet", [0])
    with pytest.raises(InvalidData, match=r"part-0\.parquet: its name says no split"):
        UserImages(path=str(tmp_path))


def test_a_table_beside_pictures_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encoded(7))
    pq.write_table(pa.table({"file_name": ["1.png"]}), tmp_path / "metadata.parquet")
    dataset = UserImages(path=str(tmp_path))
    assert dataset.describe("test") == "1 images, files that are not images: 1 (.parquet)"


def test_labels_may_be_texts_or_numbers_without_names(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", ["eel", "cat", "eel"], names=None)
    write(tmp_path / "test.parquet", ["eel"], names=None)
    assert UserImages(path=str(tmp_path)).labels("train").tolist() == [1, 0, 1]
    write(tmp_path / "train.parquet", [7, 3, 7], names=None)
    write(tmp_path / "test.parquet", [7], names=None)
    dataset = UserImages(path=str(tmp_path))
    assert dataset.labels("train").tolist() == [1, 0, 1]
    assert dataset.labels("test").tolist() == [1]


def test_columns_can_be_named(tmp_path: Path) -> None:
    write(tmp_path / "test.parquet", [1, 0], columns=("photo", "species"))
    assert UserImages(path=str(tmp_path)).num_classes == 0
    assert UserImages(path=str(tmp_path), image="photo", label="species").num_classes == 2
    with pytest.raises(UserError, match="columns of images, with bytes and path: photo; name one"):
        UserImages(path=str(tmp_path), image="img")
    with pytest.raises(UserError, match="has no column 'kind' of labels: photo, species"):
        UserImages(path=str(tmp_path), label="kind")


def test_images_of_any_size_and_kind_are_fitted(tmp_path: Path) -> None:
    images = [encoded(9, (80, 40)), encoded(9, (30, 90), "JPEG"), encoded(9, (16, 16), "WEBP")]
    write(tmp_path / "test.parquet", [0, 1, 2], images=images)
    dataset = UserImages(path=str(tmp_path)).fitted((3, 8, 8))
    found = dataset.load(tmp_path, "test").images
    assert found.shape == (3, 8, 8, 3)
    assert np.abs(np.asarray(found)[..., 0].astype(int) - 9).max() <= 3
    assert "of 3 sizes (16x16 to 80x40)" in dataset.describe("test")


def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write(path, [0, 1], images=[encoded(0), None])
    with pytest.raises(InvalidData, match="row 1: the image has no bytes; files it names are not"):
        UserImages(path=str(tmp_path))
    write(path, [0, 1], images=[encoded(0), b"no picture"])
    with pytest.raises(InvalidData, match="row group 0, row 1: not a readable image"):
        UserImages(path=str(tmp_path))
    write(path, [0, 5])
    with pytest.raises(InvalidData, match="a label is 5, of 3 names of classes"):
        UserImages(path=str(tmp_path))
    write(path, [0.5, 1.5])
    with pytest.raises(
        InvalidData, match="labels are neither texts nor whole numbers below 2,147,483,648"
    ):
        UserImages(path=str(tmp_path))
    pq.write_table(pa.table({"image": [{"bytes": "text", "path": ""}]}), path)
    with pytest.raises(UserError, match="columns of images, with bytes and path: none"):
        UserImages(path=str(tmp_path))
    pq.write_table(pa.table({"label": [1]}), path)
    with pytest.raises(UserError, match="columns of images, with bytes and path: none"):
        UserImages(path=str(tmp_path))
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(InvalidData, match="no readable Parquet file"):
        UserImages(path=str(tmp_path))
