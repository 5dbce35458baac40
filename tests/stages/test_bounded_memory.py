"""Memory does not grow with the number of images, from pictures to scores."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from stagework import Bench, Small, TwoClasses, array, source

from oodbench.contracts import Detector, Info, Need
from oodbench.engine.memory import resident
from oodbench.images.npy import ArrayFile
from oodbench.images.userdata import UserImages
from oodbench.stages import stream
from oodbench.store.artifacts import Artifact, Store

COUNT, SHAPE = 6_000, (3, 100, 100)
IMAGES_BYTES = COUNT * 3 * 100 * 100
"""180 MB."""

LIMIT = IMAGES_BYTES // 2
"""Bytes by which memory may grow."""


@contextmanager
def growth() -> Iterator[Callable[[], int]]:
    """Give what tells the bytes by which the memory of this process grew in the block at most."""
    before, most, ended = resident(), [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            most[0] = max(most[0], resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0] - before
    finally:
        ended.set()
        thread.join()


class Mean(Detector):
    """Scores by the mean of the pixels."""

    info = Info(name="mean", summary="")
    needs = frozenset({Need.INPUTS})

    def score(self, batch):
        return batch.inputs.mean(dim=(1, 2, 3))


class Fitted(Mean):
    """Learns the mean of all pixels."""

    fit_needs = frozenset({Need.INPUTS})

    def fit(self, train, context):
        self.mean_ = sum(float(batch.inputs.mean()) for batch in train)
        for batch in train.shuffled(50, context.generator()):
            self.mean_ += float(batch.inputs.mean())
        return self


class Wide(Small):
    """The network of `Small` for images of 100x100 pixels, of many features."""

    def build(self, shape, num_classes):
        module = super().build(shape, num_classes)
        module.body = torch.nn.Sequential(
            torch.nn.AvgPool2d(50), torch.nn.Flatten(), torch.nn.Linear(12, 5_000)
        )
        module.head = torch.nn.Linear(5_000, num_classes)
        return module


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    torch.set_num_threads(1)
    made = Bench(Store(tmp_path_factory.mktemp("store")))
    few = made.prepare(TwoClasses())  # what libraries take when they are used first is not counted
    made.extract(few, made.train(few))
    made.score(Mean(), images=few)
    made.fit(Fitted(), train=few)
    return made


@pytest.fixture(scope="module")
def images(bench: Bench) -> Artifact:
    """Return prepared images: zeros, of which the file takes no space."""
    labels = np.arange(COUNT) % 2
    with bench.store.create("prepare", "zeros") as draft:
        ArrayFile.create(draft / "images.npy", np.dtype(np.uint8), (COUNT, *SHAPE))
        for name, values in (("labels", labels), ("indices", np.arange(COUNT))):
            np.save(draft / f"{name}.npy", values)
        np.save(draft / "hashes.npy", np.arange(COUNT, dtype=np.uint64))
        draft.meta.update(shape=list(SHAPE), num_classes=2, count=COUNT, note="")
    return bench.store.open("prepare", "zeros")


@pytest.fixture
def from_disk(monkeypatch) -> None:
    """Have streams keep nothing, as of sets that are larger than what they may keep."""
    monkeypatch.setattr(stream, "KEPT_BYTES", {"cpu": 0, "cuda": 0})


def test_pictures_are_prepared_part_by_part(bench: Bench, tmp_path: Path) -> None:
    encoded = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (25, 25, 3), np.uint8)
    Image.fromarray(pixels).resize((200, 200)).save(encoded, "JPEG")
    for number in range(800):
        (tmp_path / f"{number:03}.jpg").write_bytes(encoded.getvalue())
    dataset = UserImages(path=str(tmp_path))
    with growth() as grown:
        made = bench.prepare(dataset, source=source(dataset), shape=(3, 200, 200))
    size = (made / "images.npy").stat().st_size
    assert size > 800 * 3 * 200 * 200
    assert grown() < size / 2


@pytest.mark.usefixtures("from_disk")
def test_images_are_scored_batch_by_batch(bench: Bench, images: Artifact) -> None:
    with growth() as grown:
        made = bench.score(Mean(), images=images)
    assert len(array(made, "scores")) == COUNT
    assert grown() < LIMIT


@pytest.mark.usefixtures("from_disk")
def test_detectors_learn_from_images_batch_by_batch(bench: Bench, images: Artifact) -> None:
    with growth() as grown:
        bench.fit(Fitted(), train=images)
    assert grown() < LIMIT


def test_images_pass_batch_by_batch_and_features_are_written(bench: Bench, images) -> None:
    classifier = Wide()
    with bench.store.create("train", "wide") as draft:
        save_file(classifier.build(SHAPE, 2).state_dict(), draft / "model.safetensors")
        draft.meta.update(shape=list(SHAPE), num_classes=2)
    trained = bench.store.open("train", "wide")
    with growth() as grown:
        made = bench.extract(images, trained, classifier=classifier)
    assert (made / "features.npy").stat().st_size > COUNT * 20_000
    assert grown() < LIMIT
