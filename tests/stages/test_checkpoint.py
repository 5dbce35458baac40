"""A checkpoint holds what was saved last, or nothing and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from oodbench.stages import checkpoint
from oodbench.stages.checkpoint import FileCheckpoint

STATE = {"weight": torch.arange(6.0).reshape(3, 2), "done": 7}


def kept(path: Path) -> FileCheckpoint:
    """Return a checkpoint of which there is nothing to note."""
    return FileCheckpoint(path, pytest.fail)


def test_a_checkpoint_comes_back_exactly(tmp_path: Path) -> None:
    state = {
        "weight": torch.rand(3, 2),
        "half": torch.rand(4).bfloat16(),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "count": torch.tensor(3),
        "done": 7,
        "rate": 0.1,
    }
    kept(tmp_path / "folder" / "job").save(state)
    found = kept(tmp_path / "folder" / "job").load()
    assert found is not None
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(torch.as_tensor(found[name]), torch.as_tensor(value))


def test_the_last_state_replaces_the_one_before(tmp_path: Path) -> None:
    job = kept(tmp_path / "job")
    job.save({"done": 1})
    job.save({"done": 2})
    assert job.load() == {"done": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert kept(tmp_path / "job").load() is None


def assert_lost(path: Path, reason: str) -> None:
    """Check that a checkpoint is not used, that the reason is noted, and that it is gone."""
    noted: list[str] = []
    assert FileCheckpoint(path, noted.append).load() is None
    assert noted == [f"started from the beginning: its checkpoint {reason}"]
    assert not path.exists()


@pytest.mark.parametrize("position", [0, 70, 90, -1], ids=["sum", "job", "rest", "tensor"])
def test_one_flipped_bit_is_damage(tmp_path: Path, position: int) -> None:
    kept(tmp_path / "job").save(STATE)
    content = bytearray((tmp_path / "job").read_bytes())
    content[position] ^= 1
    (tmp_path / "job").write_bytes(content)
    assert_lost(tmp_path / "job", "is damaged")


@pytest.mark.parametrize("size", [0, 1, 64, 65, 150])
def test_a_checkpoint_that_is_cut_is_damage(tmp_path: Path, size: int) -> None:
    kept(tmp_path / "job").save(STATE)
    (tmp_path / "job").write_bytes((tmp_path / "job").read_bytes()[:size])
    assert_lost(tmp_path / "job", "is damaged")


def test_a_file_of_tensors_alone_is_damage(tmp_path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.rand(3)}, tmp_path / "job")
    assert_lost(tmp_path / "job", "is damaged")


def test_the_checkpoint_of_another_job_is_not_used(tmp_path: Path) -> None:
    kept(tmp_path / "fit-other").save(STATE)
    (tmp_path / "fit-other").rename(tmp_path / "fit-job")
    assert_lost(tmp_path / "fit-job", "is of another job, fit-other")


def test_checkpoints_are_due_from_time_to_time(tmp_path: Path, monkeypatch) -> None:
    job = kept(tmp_path / "job")
    assert not job.is_due()
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    assert job.is_due()
