"""The images that detectors are most confidently wrong about."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from oodbench.report.gallery import IN_A_ROW, LARGEST, make_galleries, most_wrong
from oodbench.report.samples import Judged, Shown


def judged(scores: list[float], first: int = 0) -> Judged:
    count = len(scores)
    labels = np.full(count, -1)
    indices = np.arange(first, first + count)
    return Judged(np.array(scores), indices, labels, labels + 4, limit=1.0)


def images(positions: np.ndarray) -> np.ndarray:
    """Return grey images as bright as their position."""
    return np.broadcast_to(
        positions.astype(np.uint8)[:, None, None, None], (len(positions), 1, 6, 5)
    )


SHOWN = Shown(
    "Own",
    ("Other",),
    ("a",),
    {("a", "Own"): judged([0, 3, 2, 1]), ("a", "Other"): judged([5, 0.5, -2, 1, 9], first=100)},
)


def test_id_images_are_wrong_above_the_threshold_highest_first() -> None:
    count, chosen = most_wrong(judged([0, 3, 2, 1, 3]), is_id=True)
    assert (count, chosen.tolist()) == (3, [1, 4, 2])


def test_ood_images_are_wrong_at_or_below_the_threshold_lowest_first() -> None:
    count, chosen = most_wrong(judged([5, 0.5, -2, 1, 9]), is_id=False)
    assert (count, chosen.tolist()) == (3, [2, 1, 3])


def test_no_more_are_shown_than_fit_but_all_are_counted() -> None:
    count, chosen = most_wrong(judged([0.0] * 50), is_id=False)
    assert (count, len(chosen)) == (50, IN_A_ROW)


def test_a_strip_shows_the_images_at_their_positions() -> None:
    (own, other), missing = make_galleries(SHOWN, {"Own": images, "Other": images})
    assert missing == []
    assert "rejected" in own.caption
    (strip,) = other.strips
    assert strip.details[0] == "image 102: taken for 3, score -2"
    assert (strip.count, strip.images) == (3, 5)
    pixels = np.asarray(Image.open(io.BytesIO(strip.png)))
    assert pixels.shape == (6, 3 * 5 + 2 * 2, 3)
    assert pixels[0, [0, 7, 14], 0].tolist() == [102, 101, 103]
    assert pixels[0, 5].tolist() == [255, 255, 255]


def test_large_colour_images_are_made_smaller() -> None:
    def large(positions: np.ndarray) -> np.ndarray:
        return np.zeros((len(positions), 3, 224, 224), np.uint8)

    (gallery,), missing = make_galleries(SHOWN, {"Own": large})
    assert missing == ["Other"]
    assert Image.open(io.BytesIO(gallery.strips[0].png)).size == (2 * LARGEST + 2, LARGEST)


def test_a_detector_that_is_never_wrong_has_no_images() -> None:
    perfect = Shown("Own", (), ("a",), {("a", "Own"): judged([0, 1])})
    (gallery,), _ = make_galleries(perfect, {"Own": images})
    assert (gallery.strips[0].png, gallery.strips[0].count) == (b"", 0)
