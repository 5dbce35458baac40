"""The trivial statistics of images."""

import zlib

import pytest
import torch

from oodbench.contracts import Batch
from oodbench.testing import TensorStream, toy_problem
from oodbench_shortcuts.detectors import Border, Brightness, CompressedSize, Contrast, Edges

PROBLEM = toy_problem()


def fitted(detector, images):
    batch = Batch(torch.zeros(len(images), dtype=torch.int64), inputs=images)
    stream = TensorStream(batch, shape=(1, 2, 2), num_classes=1)
    return detector.fit(stream, PROBLEM.context(detector.needs))


def score(detector, images):
    return detector.score(Batch(torch.full((len(images),), -1), inputs=images))


def flat(*values):
    """Return images of 2 x 2 equal pixels."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2)


def test_too_low_and_too_high_are_equally_unusual():
    detector = fitted(Brightness(), flat(0.25, 0.375, 0.5, 0.625, 0.75))
    assert score(detector, flat(0.5, 0.0, 1.0)).tolist() == [0.0, 2.0, 2.0]


def test_a_statistic_that_hardly_varies_is_scaled_by_its_standard_deviation():
    detector = fitted(Brightness(), flat(*[0.0] * 9, 1.0))
    assert score(detector, flat(0.6)).item() == pytest.approx(0.6 / 0.3)


def test_a_statistic_that_never_varies_is_not_scaled():
    detector = fitted(Brightness(), flat(0.0, 0.0, 0.0))
    assert score(detector, flat(0.0, 0.5)).tolist() == [0.0, 0.5]


IMAGE = torch.tensor([[[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]])


@pytest.mark.parametrize(
    ("detector", "expected"),
    [
        (Brightness(), 2 / 9),
        (Contrast(), (2 / 9 * 7 / 9) ** 0.5),
        (Border(), 1 / 8),
        (Edges(), 3 / 6 + 3 / 6),
        (CompressedSize(), len(zlib.compress(bytes([255, 0, 0, 0, 255, 0, 0, 0, 0])))),
    ],
    ids=["brightness", "contrast", "border", "edges", "compressed-size"],
)
def test_statistics_computed_by_hand(detector, expected):
    assert detector.statistic(IMAGE).item() == pytest.approx(expected)


def test_noise_compresses_badly():
    noise = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    plain = torch.zeros(4, 1, 28, 28)
    sizes = CompressedSize().statistic(torch.cat([noise, plain]))
    assert sizes[:4].min() > 20 * sizes[4:].max()
