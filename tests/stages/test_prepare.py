"""Images are selected by seed, fitted to the ID geometry, and keep their positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stagework import Bench, TwoClasses, array

from oodbench.errors import InvalidData
from oodbench.images.sources import Source, locate

DATASET = TwoClasses(count=50)
IMAGES = DATASET.load(None, "test")


def test_all_images_keep_order_labels_and_note(bench: Bench) -> None:
    made = bench.prepare(DATASET)
    np.testing.assert_array_equal(array(made, "images"), IMAGES.images[:, None])
    np.testing.assert_array_equal(array(made, "labels"), IMAGES.labels)
    np.testing.assert_array_equal(array(made, "indices"), np.arange(50))
    assert made.meta == {"shape": [1, 6, 6], "num_classes": 2, "count": 50, "note": "a note"}


def test_a_selection_keeps_the_positions_in_the_data_set(bench: Bench) -> None:
    made = bench.prepare(DATASET, at_most=10)
    indices = array(made, "indices")
    assert len(indices) == made.meta["count"] == 10
    np.testing.assert_array_equal(array(made, "images"), IMAGES.images[indices][:, None])
    np.testing.assert_array_equal(array(made, "labels"), IMAGES.labels[indices])


def test_the_seed_draws_the_selection(bench: Bench) -> None:
    made = (bench.prepare(DATASET, at_most=10, selection_seed=seed) for seed in (0, 1))
    first, other = (array(each, "indices") for each in made)
    assert not np.array_equal(first, other)


def test_images_that_change_while_they_are_read_are_refused(bench: Bench, tmp_path: Path) -> None:
    class Changing(TwoClasses):
        def files(self, root, split):
            return [root / "images.bin"]

        def load(self, root, split):
            found = super().load(root, split)
            (root / "images.bin").write_bytes(b"other")
            return found

    (tmp_path / "images.bin").write_bytes(b"first")
    source: Source = locate(Changing(), "test", tmp_path)
    with pytest.raises(InvalidData, match="were changed since the run began"):
        bench.prepare(DATASET, source=source)


def test_images_are_fitted_to_the_id_geometry(bench: Bench) -> None:
    made = bench.prepare(DATASET, shape=[3, 4, 5])
    assert array(made, "images").shape == (50, 3, 4, 5)
    assert array(made, "images").dtype == np.uint8


def test_equal_images_have_equal_hashes(bench: Bench) -> None:
    hashes = array(bench.prepare(DATASET), "hashes")
    fewer = array(bench.prepare(DATASET, at_most=10), "hashes")
    assert (hashes.shape, hashes.dtype) == ((50,), np.uint64)
    assert len({*hashes.tolist()}) == len({image.tobytes() for image in IMAGES.images})
    assert {*fewer.tolist()} <= {*hashes.tolist()}
