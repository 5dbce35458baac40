"""Convolutions and matrix products by themselves: their FLOPs, and the time they take alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

OPERATIONS = ("aten::convolution", "aten::convolution_backward", "aten::mm", "aten::addmm")
PHASES = ("forward", "backward", "double")
DTYPES = {"float": torch.float32, "c10::BFloat16": torch.bfloat16}

Product = tuple[int, int, int]
"""The m, k and n of a matrix product (m, k) @ (k, n)."""


class Kernel(NamedTuple):
    """An operation, and what determines its time.

    Attributes:
        name: one of `OPERATIONS`.
        phase: in which it was called, as an index of `PHASES`.
        tensors: dtype, shape and strides of its tensors; the dtype of one that is absent is empty.
        values: its further arguments.
    """

    name: str
    phase: int
    tensors: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    values: tuple[Any, ...] = ()

    def alone(self) -> Callable[[], object]:
        """Return a function that computes this kernel, of random tensors, and nothing else."""
        operation = getattr(torch.ops.aten, self.name.removeprefix("aten::"))
        tensors = [_draw(*each) if each[0] else None for each in self.tensors]
        return lambda: operation(*tensors, *self.values)

    def describe(self) -> tuple[str, str, list[Product]]:
        """Return kind, shape, and the matrix products that the kernel amounts to (im2col).

        A shape is that of the images, channels and sides of the weights, and the stride; "up" if
        the convolution is a transposed one, with which images grow. FLOPs are those of the
        products: what is multiplied with padding counts.
        """
        shapes = [shape for _, shape, _ in self.tensors]
        phase = PHASES[self.phase]
        if not self.values:
            (m, k), (_, n) = shapes[-2:]
            return f"{phase}, matrix", f"{m}x{k} @ {k}x{n}", [(m, k, n)]
        backward = self.name == "aten::convolution_backward"
        images, (first, second, *sides) = shapes[backward : backward + 2]
        (stride, *_), padding, dilation, transposed = self.values[backward : backward + 4]
        of_images, of_weights = self.values[-1][:2] if backward else (True, False)
        patch = second * math.prod(sides)
        if transposed or backward:  # the smaller images are given
            smaller = shapes[1 if transposed and backward else 0][2:]
        else:
            sizes = zip(images[2:], sides, padding, dilation, strict=True)
            smaller = [(n + 2 * p - d * (k - 1) - 1) // stride + 1 for n, k, p, d in sizes]
        positions = images[0] * math.prod(smaller)
        products = [(first, positions, patch)] if of_weights else []
        if of_images:
            to_patches = transposed != backward
            inner, outer = (first, patch) if to_patches else (patch, first)
            products.append((positions, inner, outer))
        role = ("both" if of_images else "weights") if of_weights else "images"
        shape = f"{_by(images)} * {_by([second if transposed else first, *sides])}"
        shape += "" if stride == 1 else " up" if transposed else f" /{stride}"
        return f"{phase}, {role}" if self.phase else phase, shape, products


def count_flops(products: Iterable[Product]) -> int:
    """Return the FLOPs of matrix products; a multiplication and an addition are two."""
    return sum(2 * m * k * n for m, k, n in products)


def _draw(dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    """Return a random tensor, in the memory that its strides reach."""
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    return torch.randn(last + 1).to(DTYPES[dtype]).as_strided(shape, strides)


def _by(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def clock() -> float:
    """Return seconds: with one thread those of the processor, with several those on the wall."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def time_calls(compute: Callable[[], object], repetitions: int) -> float:
    """Return the mean seconds of a call, after one that sets up what later ones reuse."""
    compute()
    started = clock()
    for _ in range(repetitions):
        compute()
    return (clock() - started) / repetitions


def time_products(products: Iterable[Product], dtype: str, repetitions: int) -> float:
    """Return the mean seconds that matrix products take together."""
    seconds = 0.0
    for m, k, n in products:
        left, right = torch.randn(m, k).to(DTYPES[dtype]), torch.randn(k, n).to(DTYPES[dtype])
        seconds += time_calls(lambda left=left, right=right: left @ right, repetitions)
    return seconds
