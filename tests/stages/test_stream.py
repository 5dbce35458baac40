"""Streams yield every image in order, or full batches at random, with just what was declared."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from stagework import array

from oodbench.contracts import Need, PluginError
from oodbench.images.npy import ArrayFile
from oodbench.stages import stream
from oodbench.stages.stream import Rows, training_stream

EVERYTHING = frozenset({Need.INPUTS, Need.LOGITS, Need.FEATURES})


@pytest.fixture
def inputs(bench, train, trained):
    parts = {part: bench.extract(train, trained, part) for part in ("calibration", "rest")}
    return {"train": train, **parts}


def test_every_image_comes_once_in_order(inputs, bench, train, trained) -> None:
    batches = list(training_stream(inputs, EVERYTHING, 25, "cpu"))
    assert [len(batch) for batch in batches] == [25, 25, 10]
    whole = bench.extract(train, trained)
    found = {
        "labels": torch.cat([batch.labels for batch in batches]),
        "logits": torch.cat([batch.logits for batch in batches]),
        "features": torch.cat([batch.features for batch in batches]),
    }
    for name, values in found.items():
        np.testing.assert_allclose(values, array(whole, name), rtol=1e-5, atol=1e-6)
    images = torch.cat([batch.inputs for batch in batches])
    assert images.dtype == torch.float32
    np.testing.assert_array_equal((images * 255).round(), array(train, "images"))


def test_a_stream_can_be_iterated_again(inputs) -> None:
    made = training_stream(inputs, EVERYTHING, 25, "cpu")
    first, again = ([batch.logits.sum() for batch in made] for _ in range(2))
    assert first == again


def test_what_is_done_to_a_batch_leaves_the_stream_as_it_was(inputs) -> None:
    made = training_stream(inputs, EVERYTHING, 100, "cpu")
    batch = next(iter(made))
    before = [value.clone() for value in (batch.inputs, batch.logits, batch.features, batch.labels)]
    for value in (batch.inputs, batch.logits, batch.features, batch.labels):
        value.zero_()
    batch = next(iter(made))
    after = (batch.inputs, batch.logits, batch.features, batch.labels)
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_shuffled_batches_are_full_and_drawn_by_the_generator(inputs) -> None:
    made = training_stream(inputs, EVERYTHING, 25, "cpu")

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        batches = list(made.shuffled(25, generator))
        assert [len(batch) for batch in batches] == [25, 25]
        return torch.cat([batch.features for batch in batches])

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    rows = {tuple(row) for row in torch.cat([b.features for b in made]).tolist()}
    assert {tuple(row) for row in draw(0).tolist()} <= rows


def test_shuffling_keeps_the_fields_of_an_image_together(inputs, bench, train, trained) -> None:
    made = training_stream(inputs, EVERYTHING, 25, "cpu")
    batch = next(made.shuffled(60, torch.Generator().manual_seed(0)))
    images = (batch.inputs * 255).round().to(torch.uint8).flatten(1).tolist()
    positions = [array(train, "images").reshape(60, -1).tolist().index(image) for image in images]
    whole = bench.extract(train, trained)
    np.testing.assert_array_equal(batch.labels, array(train, "labels")[positions])
    np.testing.assert_allclose(
        batch.logits, array(whole, "logits")[positions], rtol=1e-5, atol=1e-6
    )


def test_a_batch_larger_than_the_set_is_refused(inputs) -> None:
    made = training_stream(inputs, EVERYTHING, 25, "cpu")
    with pytest.raises(ValueError, match="60 images, fewer than a batch of 61"):
        next(made.shuffled(61, torch.Generator()))


@pytest.mark.parametrize("name", ["inputs", "logits", "features"])
def test_what_was_not_declared_cannot_be_read(inputs, name: str) -> None:
    others = EVERYTHING - {Need(name)}
    batch = next(iter(training_stream(inputs, others, 25, "cpu")))
    with pytest.raises(
        PluginError, match=rf"uses batch\.{name} but does not declare Need\.{name.upper()}"
    ):
        getattr(batch, name)


def test_images_alone_need_no_pass_through_the_classifier(train) -> None:
    made = training_stream({"train": train}, frozenset({Need.INPUTS}), 25, "cpu")
    assert (len(made), made.shape, made.num_classes) == (60, (1, 6, 6), 2)
    assert next(iter(made)).inputs.shape == (25, 1, 6, 6)


def test_all_training_images_may_be_calibration_images(bench, train, trained) -> None:
    parts = {
        part: bench.extract(train, trained, part, count=60) for part in ("calibration", "rest")
    }
    batches = list(training_stream({"train": train, **parts}, EVERYTHING, 60, "cpu"))
    assert batches[0].logits.shape == (60, 2)
    assert batches[0].features.shape == (60, 8)


def test_rows_on_the_disk_are_read_as_they_are_asked_for(tmp_path) -> None:
    order = np.random.default_rng(0).permutation(30_000)
    values = np.arange(30_000 * 200, dtype=np.float32).reshape(30_000, 200)
    arrays = []
    for part in (values[:20_000], values[20_000:]):
        path = tmp_path / f"{len(part)}.npy"
        np.save(path, part)
        arrays.append(ArrayFile.open(path))
    rows = Rows(arrays, order)
    assert (rows.shape, rows.bytes) == (values.shape, values.nbytes)
    tracemalloc.start()
    try:
        same = [
            np.array_equal(rows[start : start + 500], values[order[start : start + 500]])
            for start in range(0, 30_000, 500)
        ]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(same)
    assert peak < values.nbytes / 5


def test_what_is_too_large_to_be_kept_gives_the_same_batches(inputs, monkeypatch) -> None:
    def batches() -> list[torch.Tensor]:
        made = training_stream(inputs, EVERYTHING, 25, "cpu")
        drawn = made.shuffled(25, torch.Generator().manual_seed(0))
        return [value for batch in (*made, *drawn) for value in (batch.inputs, batch.logits)]

    kept = batches()
    monkeypatch.setattr(stream, "KEPT_BYTES", {"cpu": 0, "cuda": 0})
    assert all(torch.equal(*pair) for pair in zip(kept, batches(), strict=True))
