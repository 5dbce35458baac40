"""Outliers that are made of ID training images."""

import numpy as np
import pytest
import torch

from oodbench.contracts import InvalidParameter
from oodbench.testing import fit, toy_problem
from oodbench_outliers.made import Inverted, Jigsaw, Mixed, Sample

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (20, 1, 9, 10), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
LABELS = np.arange(20) % 3


def make(dataset, images):
    return dataset.make(images, LABELS, np.random.default_rng(1))


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize(
    "dataset", [Mixed(), Jigsaw(), Inverted()], ids=lambda each: each.info.name
)
def test_images_keep_their_geometry(dataset, images):
    before = images.copy()
    made = make(dataset, images)
    assert made.shape == images.shape
    assert made.dtype == np.uint8
    assert np.array_equal(images, before)


def test_mixed_images_are_means_of_two_of_different_classes():
    pixels = np.stack([np.full((1, 8, 8), 100 * label, np.uint8) for label in LABELS])
    values = {int(image.reshape(-1)[0]) for image in make(Mixed(), pixels)}
    assert values == {50, 100, 150}  # of 0, 100 and 200, and never one with itself
    pair = np.array([[[[255]]], [[[254]]]], dtype=np.uint8)
    mixed = Mixed().make(pair, np.array([0, 1]), np.random.default_rng(0))
    assert np.unique(mixed).tolist() == [255]  # the mean of large values does not overflow


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_jigsaw_moves_pieces_and_changes_none(images):
    made = make(Jigsaw(), images)
    for image, other in zip(images, made, strict=True):
        assert np.array_equal(np.sort(image, axis=None), np.sort(other, axis=None))
        assert not np.array_equal(image, other)

    def pieces(image):
        cut = image[:, :8, :8].reshape(-1, 4, 2, 4, 2).transpose(1, 3, 0, 2, 4)
        return sorted(bytes(piece) for row in cut for piece in row)

    assert pieces(images[0]) == pieces(made[0])


def test_the_margin_that_cannot_be_cut_stays():
    assert np.array_equal(make(Jigsaw(), GREY)[:, :, 8:, :], GREY[:, :, 8:, :])


def test_inverting_twice_gives_the_image_back():
    assert np.array_equal(make(Inverted(), make(Inverted(), COLOUR)), COLOUR)


def test_a_sample_is_drawn_from_the_training_images():
    problem = toy_problem()
    sample = fit(Sample(count=40), problem).restored()
    assert sample.images_.shape == (40, 1, 8, 8)
    known = (problem.train_images * 255).round().to(torch.uint8)
    places = [int((known == image).flatten(1).all(1).nonzero()[0]) for image in sample.images_]
    assert places == sorted(set(places))
    assert torch.equal(sample.labels_, problem.train_labels[places])


def test_no_images_are_refused():
    with pytest.raises(InvalidParameter, match="count must be at least 1, not 0"):
        Mixed(count=0)
