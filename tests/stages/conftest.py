"""Prepare what most tests of stages start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stagework import Bench, TwoClasses

from oodbench.store.artifacts import Artifact, Store


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    torch.set_num_threads(1)
    return Bench(Store(tmp_path / "store"))


@pytest.fixture
def train(bench: Bench) -> Artifact:
    """Return 60 prepared training images."""
    return bench.prepare(TwoClasses(), "train")


@pytest.fixture
def test(bench: Bench) -> Artifact:
    """Return 60 prepared test images."""
    return bench.prepare(TwoClasses())


@pytest.fixture
def trained(bench: Bench, train: Artifact) -> Artifact:
    """Return a trained classifier."""
    return bench.train(train)
