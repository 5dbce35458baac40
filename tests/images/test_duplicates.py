"""Images that occur among others are found, exactly and nearly."""

import numpy as np
import pytest

from oodbench.images.duplicates import Reference, thumbnails


@pytest.fixture
def images():
    """Return 50 images of three colours, smooth enough to survive averaging."""
    coarse = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)


def test_no_image_is_found_among_others(images):
    found = Reference(images[:25]).find(images[25:])
    assert found.exact.shape == found.near.shape == (0, 2)


def test_the_same_pixels_are_an_exact_duplicate(images):
    found = Reference(images[:25]).find(images[20:30])
    assert found.exact.tolist() == [[n, 20 + n] for n in range(5)]
    assert found.near.tolist() == []


def test_an_exact_duplicate_names_the_first_of_equal_images(images):
    found = Reference(images[[3, 7, 7]]).find(images[[7]])
    assert found.exact.tolist() == [[0, 1]]


@pytest.mark.parametrize(("brighter", "is_near"), [(4, True), (20, False)])
def test_small_changes_leave_a_near_duplicate(images, brighter, is_near):
    changed = np.clip(images[5:6].astype(int) // 2 + 50 + brighter, 0, 255).astype(np.uint8)
    reference = images // 2 + 50
    found = Reference(reference).find(changed)
    assert found.exact.tolist() == []
    assert found.near.tolist() == ([[0, 5]] if is_near else [])


def test_blocks_make_no_difference(images, monkeypatch):
    whole = Reference(images[:25]).find(images[20:] // 2 * 2)
    monkeypatch.setattr("oodbench.images.duplicates.BLOCK", 60)
    parts = Reference(images[:25]).find(images[20:] // 2 * 2)
    assert parts.near.tolist() == whole.near.tolist()
    assert len(whole.near) > 0


def test_thumbnails_average_places_and_colours(images):
    expected = images.reshape(50, 3, 8, 4, 8, 4).mean(axis=(1, 3, 5)).reshape(50, 64) / 255
    np.testing.assert_allclose(thumbnails(images), expected, atol=1e-6)


def test_small_images_are_their_own_thumbnails():
    image = np.arange(30, dtype=np.uint8).reshape(1, 1, 5, 6)
    np.testing.assert_allclose(thumbnails(image), image.reshape(1, 30) / 255, rtol=1e-6)
