"""Images and artifacts live where the user says, else in a cache folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodbench.store.paths import as_name, data_folder, distinct_names, store_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OODBENCH_DATA", raising=False)
    return tmp_path


def test_a_folder_that_was_chosen_is_used(monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", "elsewhere")
    assert data_folder("here") == Path("here").absolute()
    assert store_folder("there") == Path("there")


def test_the_environment_names_the_data_folder(monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", "elsewhere")
    assert data_folder(None) == Path("elsewhere").absolute()


@pytest.mark.skipif("sys.platform != 'linux'", reason="other systems have other cache folders")
def test_else_both_are_in_the_users_cache_folder(cache: Path) -> None:
    assert data_folder(None) == cache / "oodbench" / "data"
    assert store_folder(None) == cache / "oodbench" / "store"


def test_different_titles_have_different_names() -> None:
    titles = ["react+knn", "react-knn", "React knn", "fit a+b (seed 0)", "a" * 300, "!", "?", "!"]
    assert list(distinct_names(titles).values()) == [
        "react+knn", "react-knn", "react-knn-2", "fit-a+b-seed-0", "a" * 100, "unnamed", "unnamed-2"
    ]  # fmt: skip
    assert distinct_names(["A b", "a-b", "A-B"], as_name) == {
        "A b": "a-b", "a-b": "a-b-2", "A-B": "a-b-3"
    }  # fmt: skip
