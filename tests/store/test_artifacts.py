"""Artifacts are there whole or not at all, whoever dies, damages or competes."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from oodbench.errors import StoreError, UserError
from oodbench.store import artifacts as module
from oodbench.store.artifacts import ABANDONED_DAYS, DAY_SECONDS, MANIFEST, Store

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def make(store: Store, text: str = "content", key: str = KEY, stage: str = "fit") -> None:
    """Complete an artifact of two files, one of them in a folder, and a note."""
    with store.create(stage, key) as draft:
        (draft / "state.json").write_text(text)
        (draft / "curves").mkdir()
        (draft / "curves" / "loss.csv").write_text("1,2\n")
        draft.meta["count"] = 3


def unfinished(store: Store) -> list[Path]:
    return list((store.root / "tmp").iterdir())


def test_a_completed_artifact_is_found_with_files_and_notes(store: Store) -> None:
    make(store)
    found = store.find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "content"
    assert found.meta == {"count": 3}
    assert store.open("fit", KEY) == found


def test_what_was_not_made_is_not_found(store: Store) -> None:
    make(store)
    assert store.find("fit", "b" * 64) is None
    assert store.find("score", KEY) is None
    with pytest.raises(StoreError, match="missing or damaged"):
        store.open("score", KEY)


def test_nothing_is_found_before_the_block_ends(store: Store) -> None:
    with store.create("fit", KEY) as draft:
        (draft / "state.json").write_text("half")
        assert store.find("fit", KEY) is None
    assert store.find("fit", KEY) is not None


def fail_half_way(store: Store) -> None:
    with store.create("fit", KEY) as draft:
        (draft / "state.json").write_text("half")
        raise ZeroDivisionError


def test_an_exception_in_the_block_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_half_way(store)
    assert store.find("fit", KEY) is None
    assert unfinished(store) == []


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """Change the last letter or digit of a file to another one."""
    content = bytearray(path.read_bytes())
    position = max(place for place, byte in enumerate(content) if chr(byte).isalnum())
    content[position] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize("name", ["state.json", "curves/loss.csv", MANIFEST])
def test_damage_is_noticed_and_made_good(store: Store, name: str, damage) -> None:
    make(store)
    damage(store.root / "fit" / KEY / name)
    assert store.find("fit", KEY) is None
    make(store)
    found = store.find("fit", KEY)
    assert found is not None
    assert (found.directory / name).stat().st_size > 0


def exchange(one: Path, other: Path) -> None:
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


def rename(one: Path, other: Path) -> None:
    shutil.rmtree(one)
    other.rename(one)


def copy(one: Path, other: Path) -> None:
    shutil.rmtree(one)
    shutil.copytree(other, one)


@pytest.mark.parametrize("change", [exchange, rename, copy])
@pytest.mark.parametrize("place", [("fit", "b" * 64), ("score", KEY)], ids=["key", "stage"])
def test_an_artifact_in_the_place_of_another_is_damage(store: Store, change, place) -> None:
    make(store)
    make(store, "other", stage=place[0], key=place[1])
    change(store.root / "fit" / KEY, store.root / place[0] / place[1])
    with pytest.raises(StoreError, match="missing or damaged"):
        store.open("fit", KEY)
    assert store.find("fit", KEY) is None
    make(store)
    found = store.find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "content"


def test_notes_that_were_changed_are_not_opened(store: Store) -> None:
    make(store)
    path = store.root / "fit" / KEY / MANIFEST
    path.write_text(path.read_text().replace('"count": 3', '"count": 4'))
    with pytest.raises(StoreError, match="missing or damaged; run the same command again"):
        store.open("fit", KEY)


@pytest.mark.parametrize("grain", [0.0, module.GRAIN_SECONDS], ids=["known", "just written"])
@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
def test_what_was_changed_after_it_was_found_is_not_read(
    store: Store, damage, grain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRAIN_SECONDS", grain)
    make(store)
    found = store.find("fit", KEY)
    assert found is not None
    path = found / "state.json"
    time.sleep(0.05)  # of two changes in one tick of the clock, the second is not seen
    damage(path)
    with pytest.raises(StoreError, match=r"state\.json is missing or damaged"):
        found / "state.json"
    assert (found / "curves/loss.csv").exists()


def test_a_file_that_no_job_wrote_is_not_read(store: Store) -> None:
    make(store)
    found = store.open("fit", KEY)
    (found.directory / "added.json").write_text("{}")
    with pytest.raises(StoreError, match="missing or damaged"):
        found / "added.json"


@pytest.mark.parametrize("content", [[], {}, {"files": []}, {"files": {}}, {"meta": {}}, "x", 1])
def test_a_manifest_of_another_form_is_damage(store: Store, content: object) -> None:
    make(store)
    (store.root / "fit" / KEY / MANIFEST).write_text(json.dumps(content))
    assert store.find("fit", KEY) is None


def test_of_two_writers_the_first_to_complete_wins(store: Store) -> None:
    with store.create("fit", KEY) as slow:
        (slow / "state.json").write_text("slow")
        make(store, "fast")
    found = store.find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "fast"
    assert unfinished(store) == []


def write_many(root: Path, start) -> None:
    store = Store(root)
    start.wait()
    for number in range(50):
        make(store, str(number), key=f"{number:064}")


def test_processes_may_write_the_same_artifacts_at_once(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    start = processes.Barrier(2)
    writers = [processes.Process(target=write_many, args=(tmp_path, start)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = Store(tmp_path)
    assert all(store.find("fit", f"{number:064}") for number in range(50))
    assert unfinished(store) == []


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_a_store_that_cannot_be_written_to_is_the_users_error(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"store .*file.* cannot be written to"):
        Store(tmp_path / root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_without_permission_is_the_users_error(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "tmp").chmod(0o500)
    with pytest.raises(UserError, match="permission denied"):
        Store(tmp_path)


def test_an_artifact_that_cannot_be_written_is_an_error(store: Store) -> None:
    (store.root / "fit").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        make(store)
    assert unfinished(store) == []


@pytest.mark.parametrize("folder", ABANDONED_DAYS)
def test_what_killed_runs_left_is_removed_when_it_is_old(store: Store, folder: str) -> None:
    limit = ABANDONED_DAYS[folder] * DAY_SECONDS
    names = ("a" * 16, "b" * 16) if folder == "tmp" else (f"fit-{'a' * 64}", f"fit-{'b' * 64}")
    end = "-0123abcd" if folder == "tmp" else ""
    old, new = (store.root / folder / f"{name}{end}" for name in names)
    for path, age in ((old, limit + 60), (new, limit - 60)):
        path.mkdir(parents=True)
        (path / "scores.npy").write_text("half")
        moment = path.stat().st_mtime - age
        os.utime(path, (moment, moment))
    Store(store.root)
    assert list((store.root / folder).iterdir()) == [new]


@pytest.mark.parametrize("folder", ABANDONED_DAYS)
def test_a_users_folder_named_as_the_store_loses_nothing(tmp_path: Path, folder: str) -> None:
    own = tmp_path / folder / "resnet18-2024.pt"
    own.parent.mkdir()
    own.write_text("weeks of training")
    os.utime(own, (0, 0))
    Store(tmp_path)
    assert own.read_text() == "weeks of training"


def test_a_training_goes_on_from_the_checkpoint_of_last_week(store: Store) -> None:
    checkpoint = store.checkpoint("fit", KEY)
    checkpoint.parent.mkdir()
    checkpoint.write_text("epoch 700")
    moment = checkpoint.stat().st_mtime - 7 * DAY_SECONDS
    os.utime(checkpoint, (moment, moment))
    assert Store(store.root).checkpoint("fit", KEY).exists()


@pytest.mark.parametrize("place", ["../beside", "x/{outside}", "fit/..", "fit", "", "tmp/a-b"])
def test_a_place_that_leads_elsewhere_is_not_found_and_left_alone(
    store: Store, tmp_path: Path, place: str
) -> None:
    for folder in (tmp_path / "beside", store.root / "fit", store.root / "tmp" / "a-b"):
        folder.mkdir()
        (folder / "thesis.tex").write_text("years of work")
    place = place.format(outside=tmp_path / "beside")
    assert store.find_written(place) is None
    assert len(list(tmp_path.rglob("thesis.tex"))) == 3
    stage, _, key = place.partition("/")
    with pytest.raises(StoreError, match="is not a valid artifact name"):
        store.open(stage, key)
