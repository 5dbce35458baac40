"""A checkpoint holds what was saved last, or nothing."""

from __future__ import annotations

from pathlib import Path

import torch

from oodbench.stages import checkpoint
from oodbench.stages.checkpoint import FileCheckpoint


def test_a_checkpoint_comes_back_exactly(tmp_path: Path) -> None:
    state = {"weight": torch.rand(3, 2), "bytes": torch.arange(5, dtype=torch.uint8), "done": 7}
    FileCheckpoint(tmp_path / "folder" / "job").save(state)
    found = FileCheckpoint(tmp_path / "folder" / "job").load()
    assert found is not None
    assert found["done"] == 7
    assert torch.equal(found["weight"], state["weight"])
    assert torch.equal(found["bytes"], state["bytes"])


def test_the_last_state_replaces_the_one_before(tmp_path: Path) -> None:
    kept = FileCheckpoint(tmp_path / "job")
    kept.save({"done": 1})
    kept.save({"done": 2})
    assert kept.load() == {"done": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert FileCheckpoint(tmp_path / "job").load() is None


def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path) -> None:
    kept = FileCheckpoint(tmp_path / "job")
    kept.save({"weight": torch.rand(100)})
    (tmp_path / "job").write_bytes((tmp_path / "job").read_bytes()[:150])
    assert kept.load() is None


def test_checkpoints_are_due_from_time_to_time(tmp_path: Path, monkeypatch) -> None:
    kept = FileCheckpoint(tmp_path / "job")
    assert not kept.is_due()
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    assert kept.is_due()
