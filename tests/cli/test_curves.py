"""The command ``curves`` writes what trainings reported, for TensorBoard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from oodbench.cli import main


def events(path: Path) -> Iterator[Event]:
    """Read an event file: records of length, its checksum, content and its checksum."""
    data = path.read_bytes()
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        yield Event.FromString(data[start + 12 : start + 12 + length])
        start += 12 + length + 4


def test_each_training_has_its_curves(drawable: Path, store: Path, tmp_path: Path, capsys) -> None:
    assert main(["curves", str(drawable), "--store", str(store), "--out", str(tmp_path)]) == 0
    folders = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert folders == {
        "train-preact-resnet-seed-0",
        "fit-wgan-of-ganad-seed-0",
        "fit-ganad-seed-0",
        "fit-ganad-seed-1",
    }
    (path,) = (tmp_path / "fit-wgan-of-ganad-seed-0").iterdir()
    values = {(value.tag, event.step) for event in events(path) for value in event.summary.value}
    names = ("critic_loss", "wasserstein", "penalty", "generator_loss", "fake_accuracy")
    assert values == {(name, 3) for name in names}


def test_a_store_without_the_run_is_refused(drawable: Path, tmp_path: Path, capsys) -> None:
    assert main(["curves", str(drawable), "--store", str(tmp_path)]) == 2
    assert "no training curve" in capsys.readouterr().err
