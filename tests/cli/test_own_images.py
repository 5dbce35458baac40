"""What was taken of a user's own images is said wherever a run is asked for, and before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import oodbench
from oodbench.cli import main


def write_folder(folder: Path, *, classes: int = 0, count: int = 4, seed: int = 0) -> None:
    """Write random pictures, into folders of classes if there are any."""
    draws = np.random.default_rng(seed)
    for number in range(count):
        place = folder / (f"class{number % classes}" if classes else "")
        place.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with an ID set ``own`` and an OOD set ``other``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    write_folder(tmp_path / "own" / "train", classes=2, count=40, seed=1)
    write_folder(tmp_path / "own" / "test", classes=2, count=10, seed=2)
    write_folder(tmp_path / "other", count=6, seed=3)
    return tmp_path


ASKED = "--id ./own --ood ./other --classifier preact-resnet --detectors msp --store store"
TAKEN = {
    "own (train)": "40 images in 2 classes (class0, class1)",
    "own (test)": "10 images in 2 classes (class0, class1)",
    "other": "6 images",
}


def test_a_plan_says_what_was_taken(here: Path, capsys) -> None:
    assert main(["plan", *ASKED.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {f"{title}: {text}" for title, text in TAKEN.items()} <= {*lines}
    assert main(["plan", *ASKED.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == TAKEN


def test_data_status_says_what_was_taken_of_a_path(here: Path, capsys) -> None:
    assert main(["data", "status", "./own", "./other"]) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(name, split, text.strip()) for name, split, text in rows] == [
        ("./own", "train", TAKEN["own (train)"]),
        ("./own", "test", TAKEN["own (test)"]),
        ("./other", "test", TAKEN["other"]),
    ]


RUN = "run --classifier preact-resnet --detectors msp --store store --out out --device cpu "
RUN += "--engine inline --set preact-resnet.epochs=1 --set preact-resnet.width=4"


def run(ood: str, id_set: str = "./own") -> int:
    return main([*RUN.split(), "--id", id_set, "--ood", ood])


def results(here: Path) -> tuple[set[str], dict]:
    """Return the OOD sets of the records, and what run.json says."""
    records = (here / "out" / "records.csv").read_text().splitlines()[1:]
    info = json.loads((here / "out" / "run.json").read_text())
    return {line.split(",")[1] for line in records} - {""}, info


def damage(path: Path) -> None:
    """Cut a picture, whose header still says what it should be."""
    path.write_bytes(path.read_bytes()[:-40])


def garble(path: Path) -> None:
    path.write_bytes(b"no picture")


@pytest.mark.parametrize("spoil", [damage, garble])
def test_a_broken_picture_loses_its_own_ood_set_alone(here: Path, capsys, spoil) -> None:
    write_folder(here / "cut", count=5, seed=4)
    spoil(here / "cut" / "3.png")
    assert run("./other,./cut") == 0
    assert "cut/3.png: not a readable image" in capsys.readouterr().out
    sets, info = results(here)
    assert sets == {"other"}
    assert info["failures"] == {}
    assert [*info["missing"]] == ["./cut" if spoil is garble else "cut"]


def test_without_another_ood_set_a_broken_picture_ends_the_run(here: Path, capsys) -> None:
    write_folder(here / "cut", count=5, seed=4)
    damage(here / "cut" / "3.png")
    assert run("./cut") == 2
    assert "no OOD set is available: cut/3.png: not a readable" in capsys.readouterr().err


def test_a_broken_picture_of_the_id_set_ends_the_run(here: Path, capsys) -> None:
    damage(here / "own" / "train" / "class1" / "3.png")
    assert run("./other") == 2
    assert "train/class1/3.png: not a readable image" in capsys.readouterr().err


def as_pack(folder: Path, path: Path) -> None:
    """Write the pictures of a folder as a pack."""
    images = np.stack([np.asarray(Image.open(each)) for each in sorted(folder.rglob("*.png"))])
    np.savez(path, images=images, labels=np.full(len(images), -1))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_copy_of_the_id_images_is_refused_as_ood_set(here: Path, capsys, split: str) -> None:
    shutil.copytree(here / "own" / split, here / "copy")
    assert run("./copy,./other") == 2
    assert "the OOD set 'copy' holds ID images and nothing else" in capsys.readouterr().err


def test_the_pack_of_the_id_set_is_refused_as_ood_set(here: Path, capsys) -> None:
    for split in ("train", "test"):
        images = np.random.default_rng(len(split)).integers(0, 256, (20, 8, 8), dtype=np.uint8)
        np.savez(here / f"packs-{split}.npz", images=images, labels=np.arange(20) % 2)
    assert run("./packs-test.npz", "./packs") == 2
    assert "the OOD set 'packs-test' holds ID images" in capsys.readouterr().err


def test_id_images_in_files_of_another_kind_are_left_out(here: Path, capsys) -> None:
    as_pack(here / "own" / "test", here / "again.npz")
    assert run("./again.npz,./other") == 0
    assert "left out: again: all its images are ID images" in capsys.readouterr().out
    assert results(here)[0] == {"other"}


def test_id_images_among_others_are_counted_under_the_table(here: Path) -> None:
    write_folder(here / "mixed", count=5, seed=4)
    for number, path in enumerate(sorted((here / "own").rglob("*.png"))[:12]):
        shutil.copy(path, here / "mixed" / f"id{number}.png")  # 10 test images, 2 training images
    assert run("./mixed") == 0
    assert results(here)[1]["notes"]["mixed"] == (
        "17 images; 10 of its 17 images are ID test images; "
        "2 of its 17 images are ID training images"
    )


def test_training_images_among_the_test_images_are_counted(here: Path) -> None:
    twin = here / "own" / "train" / "class0" / "0.png"
    shutil.copy(twin, here / "own" / "test" / "class0" / "twin.png")
    assert run("./other") == 0
    note = results(here)[1]["notes"]["own"]
    assert note.endswith("; 1 of its 11 images are ID training images")


def test_one_ood_set_under_two_names_is_refused(here: Path, capsys) -> None:
    shutil.copytree(here / "other", here / "twin")
    assert run("./other,./twin") == 2
    assert "'other' and 'twin' are the same images; name one" in capsys.readouterr().err


def test_one_ood_set_in_two_kinds_of_file_counts_once(here: Path, capsys) -> None:
    as_pack(here / "other", here / "twin.npz")
    assert run("./other,./twin.npz") == 0
    assert "left out: twin: its images are those of other" in capsys.readouterr().out


def test_images_that_two_ood_sets_share_are_counted(here: Path) -> None:
    write_folder(here / "more", count=9, seed=3)  # begins with those of other
    assert run("./other,./more") == 0
    notes = results(here)[1]["notes"]
    assert notes["other"] == "6 images; 6 of its 6 images are images of more"
    assert notes["more"] == "9 images; 6 of its 9 images are images of other"


@pytest.mark.parametrize("flip", ["yes", "no", None])
def test_mirrored_images_of_a_users_own_are_noted(here: Path, flip: str | None) -> None:
    asked = [word.replace("preact-resnet", "wideresnet16-4") for word in RUN.split()]
    chosen = ["--set", f"wideresnet16-4.flip={flip}"] if flip else []
    assert main([*asked, *chosen, "--id", "./own", "--ood", "./other"]) == 0
    assert ("trained on mirrored images" in results(here)[1]["notes"]["own"]) is (flip == "yes")


@pytest.mark.parametrize(("id_set", "ood"), [("own", "./other"), ("./own", "other")])
def test_a_folder_that_is_named_like_a_data_set_is_pointed_out(
    here: Path, capsys, id_set: str, ood: str
) -> None:
    assert run(ood, id_set) == 2
    assert "; for the images in it write ./o" in capsys.readouterr().err


def test_the_home_folder_is_known_in_all_paths(here: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HOME", str(here))
    asked = ASKED.replace("./", "~/").replace("--store ", "--store ~/").split()
    assert main(["run", *asked, "--out", "~/out", "--set", "preact-resnet.epochs=1"]) == 0
    assert (here / "store").is_dir()
    assert main(["table", "~/out"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["table", "~nobody-of-that-name/out"])


def write_photographs(folder: Path, *, classes: int, count: int, seed: int) -> None:
    """Write random pictures of many sizes into folders of classes."""
    draws = np.random.default_rng(seed)
    for number in range(count):
        place = folder / f"class{number % classes}"
        place.mkdir(parents=True, exist_ok=True)
        size = (*draws.integers(20, 60, 2), 3)
        Image.fromarray(draws.integers(0, 256, size, dtype=np.uint8)).save(place / f"{number}.png")


@pytest.fixture
def photographs(here: Path) -> Path:
    """Return the current folder, with pictures of many sizes, some of them for validation."""
    for seed, (split, count) in enumerate({"train": 40, "test": 10, "val": 12}.items()):
        write_photographs(here / "photos" / split, classes=2, count=count, seed=seed)
    write_photographs(here / "far", classes=1, count=6, seed=9)
    return here


def test_pictures_of_many_sizes_run_from_the_command_line_a_file_and_python(
    photographs: Path, capsys
) -> None:
    asked = "--id ./photos --ood ./far,./other --set ./photos.size=16"
    assert main([*RUN.split(), *asked.split(), "--quiet"]) == 0
    sets, info = results(photographs)
    assert sets == {"far", "other-resized"}
    assert "shorter side resized, centre of 16x16 cut out" in info["notes"]["far"]
    (photographs / "photos.toml").write_text(
        'name = "photos"\nid = "./photos"\nood = ["./far", "./other"]\n'
        'classifier = "preact-resnet"\n[parameters."./photos"]\nsize = 16\n'
    )
    assert main([*RUN.split(), "--benchmark", "photos.toml", "--quiet"]) == 0
    assert results(photographs)[1]["jobs_run"] == 0
    run = oodbench.run(
        id="./photos",
        ood=["./far", "./other"],
        classifier="preact-resnet",
        detectors=["msp"],
        parameters={"./photos": {"size": 16}, "preact-resnet": {"epochs": 1, "width": 4}},
        store="store",
        out="out",
        engine="inline",
        device="cpu",
    )
    assert run.info["jobs_run"] == 0
    assert main([*RUN.split(), *asked.replace("size", "sise").split()]) == 2
    assert "unknown parameter of images ./photos: 'sise'; did you mean 'size'?" in (
        capsys.readouterr().err
    )


def test_a_folder_of_validation_images_is_not_learned_from(photographs: Path, capsys) -> None:
    line = [*RUN.replace("msp", "klmatching").split(), "--id", "./photos", "--ood", "./far"]
    assert main([*line, "--quiet"]) == 0
    info = results(photographs)[1]
    assert "validation: 12 images in 2 classes" in info["notes"]["photos"]
    assert "photos (validation)" in " ".join(info["jobs"].values())
    shutil.copy(photographs / "photos/train/class0/0.png", photographs / "photos/val/class0")
    assert main([*line, "--quiet", "--force"]) == 2
    assert "validation images of 'photos' are trained on" in capsys.readouterr().err


def test_a_data_set_of_hugging_face_runs_like_the_same_pictures(photographs: Path) -> None:
    shutil.rmtree(photographs / "photos" / "val")
    for split in ("train", "test"):
        files = sorted((photographs / "photos" / split).rglob("*.png"))
        rows = {
            "image": [{"bytes": path.read_bytes(), "path": path.name} for path in files],
            "label": [int(path.parent.name[-1]) for path in files],
        }
        (photographs / "hub").mkdir(exist_ok=True)
        pd.DataFrame(rows).to_parquet(photographs / "hub" / f"{split}-00000-of-00001.parquet")
    figures = []
    for name in ("./hub", "./photos"):
        asked = ["--id", name, "--ood", "./far", "--set", f"{name}.size=16", "--quiet", "--force"]
        assert main([*RUN.split(), *asked]) == 0
        figures.append(pd.read_csv(photographs / "out" / "records.csv")["auroc"].tolist())
    assert figures[0] == pytest.approx(figures[1], nan_ok=True)
