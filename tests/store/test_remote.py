"""A store in an object storage: artifacts go from machine to machine, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import object_storage
import pytest

import oodbench
from oodbench.cli import main
from oodbench.errors import StoreError, UserError
from oodbench.store.artifacts import MANIFEST, Store
from oodbench.store.opening import open_store
from oodbench.store.remote import RemoteStore

KEY = "a" * 64
TIMES = ["fit_seconds", "score_seconds"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_storage.bucket() as url:
        yield url


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Callable[[str], RemoteStore]:
    """Return a function of a machine's name that opens one store, empty at first, from there."""
    return lambda name: RemoteStore(f"{bucket}/{tmp_path.name}", tmp_path / name)


def make(store: Store, text: str = "content") -> None:
    """Complete an artifact of two files, one of them in a folder, and a note."""
    with store.create("fit", KEY) as draft:
        (draft / "state.json").write_text(text)
        (draft / "curves").mkdir()
        (draft / "curves" / "loss.csv").write_text("1,2\n")
        draft.meta["count"] = 3


def cached(store: Store) -> set[str]:
    folder = store.root / "fit" / KEY
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_artifact_is_read_on_another_machine(machine) -> None:
    make(machine("one"))
    found = machine("two").find("fit", KEY)
    assert found is not None
    assert found.meta == {"count": 3}
    assert (found / "state.json").read_text() == "content"
    assert (found / "curves/loss.csv").read_text() == "1,2\n"


def test_a_file_is_fetched_when_it_is_read(machine) -> None:
    make(machine("one"))
    store = machine("two")
    found = store.open("fit", KEY)
    assert cached(store) == {MANIFEST}
    assert (found / "state.json").exists()
    assert cached(store) == {MANIFEST, "state.json"}


def test_the_storage_has_the_layout_of_a_folder(machine, tmp_path: Path) -> None:
    store = machine("one")
    make(store)
    store._files.get(store._base, str(tmp_path / "copy"), recursive=True)
    copied = Store(tmp_path / "copy").find("fit", KEY)
    assert copied is not None
    assert (copied / "state.json").read_text() == "content"


def test_the_manifest_is_uploaded_last(machine, monkeypatch) -> None:
    store = machine("one")
    sent = []
    put = store._files.put_file

    def note(source: str, target: str) -> None:
        sent.append(target.rpartition(KEY)[2])
        if target.endswith(MANIFEST):
            assert machine("two").find("fit", KEY) is None
        put(source, target)

    monkeypatch.setattr(store._files, "put_file", note)
    make(store)
    assert sent == ["/curves/loss.csv", "/state.json", f"/{MANIFEST}"]
    assert machine("two").find("fit", KEY) is not None


def test_what_was_uploaded_in_part_is_not_there(machine, monkeypatch) -> None:
    store = machine("one")
    put = store._files.put_file

    def fail(source: str, target: str) -> None:
        if target.endswith(MANIFEST):
            raise ConnectionError("the network is gone")
        put(source, target)

    monkeypatch.setattr(store._files, "put_file", fail)
    with pytest.raises(StoreError, match="cannot be reached: ConnectionError: the network is gone"):
        make(store)
    monkeypatch.setattr(store._files, "put_file", put)
    assert store.find("fit", KEY) is None
    assert machine("two").find("fit", KEY) is None
    make(machine("two"))
    assert store.find("fit", KEY) is not None


def test_what_another_machine_completed_first_stays(machine) -> None:
    one, two = machine("one"), machine("two")
    make(one, "first")
    make(two, "second")
    assert (two.open("fit", KEY) / "state.json").read_text() == "first"


def test_a_file_that_was_damaged_in_the_storage_is_made_anew(machine) -> None:
    make(machine("one"))
    store = machine("two")
    store._files.pipe_file(store._place("fit", KEY) + "/state.json", b"other")
    found = store.find("fit", KEY)
    assert found is not None
    with pytest.raises(StoreError, match="missing or damaged; run the same command again"):
        found / "state.json"
    assert machine("three").find("fit", KEY) is None
    assert store.find("fit", KEY) is None


def test_what_another_machine_made_anew_is_kept(machine) -> None:
    one, two = machine("one"), machine("two")
    make(one, "first")
    found = two.open("fit", KEY)
    one.discard("fit", KEY)
    make(one, "second")
    with pytest.raises(StoreError, match="missing or damaged; run the same command again"):
        found / "state.json"
    again = two.find("fit", KEY)
    assert again is not None
    assert (again / "state.json").read_text() == "second"


def test_looking_for_an_artifact_disturbs_no_upload_of_it(machine, monkeypatch) -> None:
    one, two = machine("one"), machine("two")
    make(two, "first")
    one.discard("fit", KEY)
    put = one._files.put_file

    def look(source: str, target: str) -> None:
        if target.endswith(MANIFEST):
            assert two.find("fit", KEY) is None
        put(source, target)

    monkeypatch.setattr(one._files, "put_file", look)
    make(one, "second")
    found = two.find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "second"


def test_reading_while_another_machine_uploads_leaves_its_files(machine, monkeypatch) -> None:
    """It began before this artifact was complete, and has overwritten one of its files."""
    one, two = machine("one"), machine("two")
    put = one._files.put_file

    def interrupted(source: str, target: str) -> None:
        put(source, target)
        if target.endswith("state.json"):
            put_first()

    def put_first() -> None:
        monkeypatch.setattr(one._files, "put_file", put)
        one._files.pipe_file(f"{two._place('fit', KEY)}/{MANIFEST}", manifest)
        found = two.open("fit", KEY)
        with pytest.raises(StoreError, match="missing or damaged"):
            found / "state.json"

    make(two, "first")
    manifest = two._files.cat_file(f"{two._place('fit', KEY)}/{MANIFEST}")
    two.discard("fit", KEY)
    monkeypatch.setattr(one._files, "put_file", interrupted)
    make(one, "second")
    found = machine("three").find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "second"


def test_a_download_that_went_wrong_once_is_repeated(machine, monkeypatch) -> None:
    make(machine("one"))
    store = machine("two")
    get, tried = store._files.get_file, []

    def damage(source: str, target: str) -> None:
        get(source, target)
        tried.append(source)
        if len(tried) == 1:
            Path(target).write_text("other")

    monkeypatch.setattr(store._files, "get_file", damage)
    assert (store.open("fit", KEY) / "state.json").read_text() == "content"
    assert len(tried) == 2


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(machine) -> None:
    store = machine("one")
    make(store)
    (store.root / "fit" / KEY / "state.json").write_text("other")
    found = store.find("fit", KEY)
    assert found is not None
    assert (found / "state.json").read_text() == "content"


def test_what_was_removed_is_gone_for_all_machines(machine) -> None:
    one, two = machine("one"), machine("two")
    make(one)
    two.discard("fit", KEY)
    assert one.find("fit", KEY) is None
    assert not cached(one)
    assert not one._files.exists(f"{one._place('fit', KEY)}/{MANIFEST}")


def test_a_manifest_that_was_damaged_is_no_artifact(machine) -> None:
    store = machine("one")
    make(store)
    store._files.pipe_file(f"{store._place('fit', KEY)}/{MANIFEST}", b"{}")
    assert store.find("fit", KEY) is None
    make(store)
    assert store.find("fit", KEY) is not None


@pytest.mark.parametrize("url", ["s3://[bucket", "file://[", "file:///a#b"])
def test_what_is_no_url_is_refused_in_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a URL|is no folder of this machine"):
        open_store(url)


def test_a_path_that_was_made_of_a_url_is_refused() -> None:
    with pytest.raises(UserError, match="give the URL as text"):
        open_store(Path("s3://bucket/prefix"))


def test_a_run_is_resumed_from_another_machine_without_work(
    bucket: str, tiny: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "benchmark": str(tiny),
        "detectors": ["msp", "mahalanobis"],
        "engine": "inline",
        "device": "cpu",
        "data": tmp_path / "data",
    }
    runs = []
    for name in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        open_store.__globals__["open_remote"].cache_clear()
        remote = f"{bucket}/{tmp_path.name}"
        runs.append(oodbench.run(**settings, store=remote, out=tmp_path / f"run-{name}"))
    made, resumed = runs
    assert resumed.info["jobs_run"] == 0
    assert resumed.info["images_forwarded"] == 0
    assert made.records.drop(columns=TIMES).equals(resumed.records.drop(columns=TIMES))
    assert resumed.scores().equals(made.scores())
    written = "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )
    assert object_storage.SECRET not in written
    assert f"store {remote}" in (made.directory / "run.log").read_text()


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    found = open_store(f"file://{tmp_path}/a%20store")
    assert type(found) is Store
    assert found.root == tmp_path / "a store"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://missing/prefix", "the store 's3://missing/prefix' cannot be written to: "),
        ("s3://", "'s3://' names no bucket"),
        ("nonsense://bucket", "'nonsense://bucket' is no URL of a store"),
        ("file://host/folder", "'file://host/folder' is no folder of this machine"),
        ("s3://me:password@bucket/prefix", "credentials: they come from the environment"),
    ],
)
def test_a_url_of_no_store_is_a_mistake_of_the_user(
    bucket: str, tiny: Path, tmp_path: Path, capsys, monkeypatch, url: str, said: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = main(["plan", "--benchmark", str(tiny), "--detectors", "msp", "--store", url])
    message = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert said in message
    assert "password" not in message
    assert "Traceback" not in message


def test_without_its_library_a_store_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "s3fs", None)
    registry = sys.modules[fsspec.get_filesystem_class.__module__]  # its name is taken by an object
    monkeypatch.delitem(registry._registry, "s3", raising=False)
    with pytest.raises(UserError, match=r"pip install 'oodbench\[s3\]'"):
        open_store("s3://bucket/prefix")


@pytest.mark.parametrize("action", ["status", "verify", "gc", "rm fit"])
def test_the_upkeep_of_a_storage_is_left_to_its_own_tools(capsys, action: str) -> None:
    assert main(["store", *action.split(), "--store", "s3://bucket/prefix"]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "looks after folders, not after object storages" in message
