"""Packs hold a run's files, and a pack from elsewhere can do no harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.errors import InvalidData, UserError
from oodbench.results.run import Run, read_run
from oodbench.submission import pack
from oodbench.submission.pack import REQUIRED, extract_pack, write_pack


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "run", {"energy": 1.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "extracted"
    path.mkdir()
    return path


def write_zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def members(run: Run) -> list[tuple[str, bytes]]:
    return [(name, (run.directory / name).read_bytes()) for name in REQUIRED]


def test_a_pack_holds_the_run(run: Run, folder: Path, tmp_path: Path) -> None:
    write_pack(run, tmp_path / "pack.zip")
    extract_pack(tmp_path / "pack.zip", folder)
    extracted = read_run(folder)
    assert extracted.info == run.info
    assert extracted.records.equals(run.records)
    assert extracted.scores().equals(run.scores())


def test_equal_runs_give_equal_packs(run: Run, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write_pack(run, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_run_without_scores_is_refused(run: Run, tmp_path: Path) -> None:
    (run.directory / "scores.parquet").unlink()
    with pytest.raises(UserError, match=r"lacks its scores\.parquet"):
        write_pack(run, tmp_path / "pack.zip")


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil", "a/run.json", "code.pkl", "x\\..\\y"])
def test_any_other_name_is_refused(run: Run, folder: Path, tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "pack.zip", *members(run), (name, b"x"))
    with pytest.raises(InvalidData, match="which is not a file of a run"):
        extract_pack(path, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "pack.zip", *members(run), ("run.json", b"{}"))
    with pytest.raises(InvalidData, match="holds a file twice"):
        extract_pack(path, folder)


def test_a_pack_that_swells_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    bomb = [(name, b"0" * 2_000_000) for name in REQUIRED]
    path = write_zip(tmp_path / "pack.zip", *bomb)
    assert path.stat().st_size < 10_000
    with pytest.raises(InvalidData, match=r"scores\.parquet has 2,000,000 bytes, and 1,0.* limit"):
        extract_pack(path, folder)


def test_a_file_beyond_its_limit_is_refused(run: Run, folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(pack.LIMITS, "run.json", 20)
    path = write_zip(tmp_path / "pack.zip", *members(run))
    with pytest.raises(InvalidData, match=r"run\.json has .* bytes, and 20 are the limit"):
        extract_pack(path, folder)


def test_a_size_that_is_understated_is_noticed(run: Run, folder: Path, tmp_path: Path) -> None:
    bomb = [(name, b"0" * 2_000_000) for name in REQUIRED]
    path = write_zip(tmp_path / "pack.zip", *bomb)
    size = (2_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (1_000).to_bytes(4, "little")))
    with pytest.raises(InvalidData):
        extract_pack(path, folder)


def test_a_list_of_a_million_files_is_not_read(folder: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "pack.zip", *((f"{number}", b"") for number in range(2_000)))
    with pytest.raises(InvalidData, match="its list of files has more than 65,536 bytes"):
        extract_pack(path, folder)


def test_a_missing_file_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "pack.zip", *members(run)[:2])
    with pytest.raises(InvalidData, match=r"lacks scores\.parquet, predictions\.parquet"):
        extract_pack(path, folder)


def test_a_damaged_pack_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    write_pack(run, tmp_path / "pack.zip")
    content = (tmp_path / "pack.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidData, match="is damaged, or no pack"):
        extract_pack(tmp_path / "cut.zip", folder)


def test_compression_whose_memory_is_unbounded_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name in REQUIRED:
            archive.writestr(name, bytes(500))
    with pytest.raises(InvalidData, match="packed in another way than deflated"):
        extract_pack(path, folder)


def test_a_pack_that_is_not_there_is_the_users_mistake(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        extract_pack(tmp_path / "nowhere.zip", folder)
