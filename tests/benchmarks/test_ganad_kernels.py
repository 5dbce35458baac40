"""What limits an iteration of training: its kernels, and what the remaining time goes into."""

from __future__ import annotations

import re

import ganad_kernels
import pytest
import torch
from ganad_kernels import Row
from kernels import Kernel, count_flops
from torch.nn.functional import conv2d

IMAGES, WEIGHTS = (4, 2, 8, 8), (3, 2, 3, 3)
FLOPS = 2 * (4 * 8 * 8) * 3 * (2 * 3 * 3)


def penalise() -> None:
    """Take the gradient of a gradient penalty, and a step of Adam."""
    images = torch.rand(IMAGES, requires_grad=True)
    weights = torch.rand(WEIGHTS, requires_grad=True)
    optimizer = torch.optim.Adam([weights])
    values = conv2d(images, weights, padding=1).square().sum()
    (gradients,) = torch.autograd.grad(values, images, create_graph=True)
    gradients.square().sum().backward()
    optimizer.step()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = ganad_kernels.measure(penalise, repetitions=2, sizes=(64,))
    torch.set_num_threads(threads)
    return found


def test_a_convolution_has_two_flops_for_each_multiplication() -> None:
    of_images, of_weights = (
        ("float", shape, torch.empty(shape).stride()) for shape in (IMAGES, WEIGHTS)
    )
    tensors = (of_images, of_weights, ("", (), ()))
    settings = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)
    convolution = Kernel("aten::convolution", 0, tensors, settings)
    kind, shape, products = convolution.describe()
    assert (kind, shape) == ("forward", "4x2x8x8 * 3x3x3")
    assert count_flops(products) == FLOPS
    assert products == [(4 * 8 * 8, 2 * 3 * 3, 3)]


def test_forward_backward_and_double_backward_are_told_apart(rows) -> None:
    found = {row.kind: row for row in rows if row.flops}
    assert found["forward"].flops == FLOPS
    assert found["forward"].calls == 1
    assert found["backward, images"].flops == FLOPS
    assert sum(row.flops for row in rows if row.kind.startswith("double")) >= 2 * FLOPS
    assert all(row.alone > 0 and row.product > 0 and row.at_peak > 0 for row in found.values())


def test_shares_add_up_to_the_iteration(rows) -> None:
    lines = ganad_kernels.table(rows).splitlines()
    _, rules, *body = lines[: lines.index("")]
    shares = [match.span() for match in re.finditer("-+", rules)][4]
    assert sum(float(line[slice(*shares)]) for line in body) == pytest.approx(100, abs=1)
    figures = ganad_kernels.figures(rows)
    parts = sum(row.seconds for row in rows)
    assert figures["seconds_profiled"] == pytest.approx(parts, abs=1e-5)
    assert figures["seconds_kernels_product"] <= figures["seconds_profiled"]


def test_the_table_fits_the_page(rows) -> None:
    images = "200x32x14x14 * 32x4x4 up"
    numbers = (3, 0.1234, 1e10, 0.1234, 0.1234, 0.05)
    widest = [Row(kind, images, *numbers) for kind in ("backward, weights", "double, both")]
    assert max(map(len, ganad_kernels.table([*widest, *rows]).splitlines())) <= 100
