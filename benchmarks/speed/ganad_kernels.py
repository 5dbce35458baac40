"""What limits an iteration of training: its kernels beside bare ones and beside matrix products.

Each convolution and matrix product of a profile is repeated alone, on tensors of the same shapes,
dtypes and strides, and so are the matrix products that it amounts to when patches are laid out as
rows. Times are per iteration: with one thread those of the processor, which leave out what other
processes take, with several those on the wall.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from common import Figures
from kernels import Kernel, count_flops, time_calls, time_products
from profiling import REST, profile_parts
from tabulate import tabulate

OTHER = 0.15
"""The row of other kernels holds at most this share of an iteration."""
HEADER = ("kernel", "shape", "n", "ms", "%", "GFLOP/s", "alone", "matrix", "peak")


class Row(NamedTuple):
    """Kernels of one kind and shape, or a part of the rest, which has no FLOPs.

    Attributes:
        kind: what is computed.
        shape: of images and weights, or of matrices.
        calls: in one iteration, as all that follows.
        seconds: in training.
        flops: 0 for a part of the rest.
        alone: seconds of the same calls, repeated alone.
        product: seconds of their matrix products.
        at_peak: seconds at the speed of the fastest product of large matrices.
    """

    kind: str
    shape: str
    calls: float
    seconds: float
    flops: float = 0
    alone: float = 0
    product: float = 0
    at_peak: float = 0


def measure(
    iterate: Callable[[], object], repetitions: int, sizes: Sequence[int] = (1024, 2048, 4096)
) -> list[Row]:
    """Return a row for each kind and shape, the costliest first, then one for each other part.

    The peak is the speed of the fastest product of square matrices of the given sizes.
    """
    calls, seconds = profile_parts(iterate, repetitions)
    peaks: dict[str, float] = {}
    groups: dict[tuple[str, str], list[Row]] = {}
    for kernel in (part for part in seconds if isinstance(part, Kernel)):
        kind, shape, products = kernel.describe()
        count, flops, dtype = calls[kernel], count_flops(products), kernel.tensors[0][0]
        if dtype not in peaks:
            peaks[dtype] = max(
                2 * n**3 / time_products([(n, n, n)], dtype, repetitions) for n in sizes
            )
        alone = time_calls(kernel.alone(), count * repetitions)
        product = time_products(products, dtype, count * repetitions)
        of_calls = (count * each for each in (flops, alone, product, flops / peaks[dtype]))
        row = Row(kind, shape, count, seconds[kernel], *of_calls)
        groups.setdefault((kind, shape), []).append(row)
    rows = [_sum(*label, group) for label, group in groups.items()]
    rows.sort(key=lambda row: -row.seconds)
    return rows + [Row(part, what, 0, seconds.get(part, 0)) for part, (what, _) in REST.items()]


def _sum(kind: str, shape: str, rows: Sequence[Row]) -> Row:
    return Row(kind, shape, *map(sum, zip(*(row[2:] for row in rows), strict=True)))


def table(rows: Sequence[Row]) -> str:
    """Return the costliest kernels, the others, the rest, and what faster kernels could save."""
    total = sum(row.seconds for row in rows)
    kernels = [row for row in rows if row.flops]
    count = len(kernels)
    while count and sum(row.seconds for row in kernels[count - 1 :]) < OTHER * total:
        count -= 1
    small = kernels[count:]
    other = [_sum("other kernels", f"{len(small)} shapes", small)] if small else []
    parts = [*kernels[:count], *other, *rows[len(kernels) :]]
    lines = tabulate([_columns(row, total) for row in parts], HEADER, floatfmt=".1f")
    alone, product, peak = (
        f"{seconds * 1e3:.0f} ms ({total / seconds:.2f} times faster)" for seconds in _limits(rows)
    )
    return (
        f"{lines}\n\nalone, matrix: ms of the same kernels and of their matrix products, repeated"
        f" alone; peak: % of\n{_peak(rows):.0f} GFLOP/s, the fastest product of large matrices.\n"
        f"An iteration takes {total * 1e3:.0f} ms. Were kernels as fast as alone: {alone},\n"
        f"as matrix products: {product}, as the peak: {peak}."
    )


def _columns(row: Row, total: float) -> tuple[object, ...]:
    """Return the columns of `HEADER`; the rest has only the first ones."""
    first = (row.kind, row.shape, row.calls or None, row.seconds * 1e3, 100 * row.seconds / total)
    if not row.flops:
        return first
    reached, at_peak = row.flops / row.seconds / 1e9, 100 * row.at_peak / row.seconds
    return *first, reached, row.alone * 1e3, row.product * 1e3, at_peak


def _peak(rows: Sequence[Row]) -> float:
    """Return the GFLOP/s of the fastest product of large matrices."""
    return max(row.flops / row.at_peak for row in rows if row.flops) / 1e9


def _limits(rows: Sequence[Row]) -> list[float]:
    """Return an iteration's seconds if kernels were as alone, as products, as the peak.

    A kernel that is faster than that keeps its time.
    """
    fields = ("alone", "product", "at_peak")
    return [
        sum(min(row.seconds, getattr(row, each)) if row.flops else row.seconds for row in rows)
        for each in fields
    ]


def figures(rows: Sequence[Row]) -> Figures:
    """Return what `table` shows, each kernel by itself, under flat names."""
    alone, product, peak = (round(seconds, 5) for seconds in _limits(rows))
    found: Figures = {
        "seconds_profiled": round(sum(row.seconds for row in rows), 5),
        "seconds_kernels_alone": alone,
        "seconds_kernels_product": product,
        "seconds_kernels_at_peak": peak,
        "gflops_peak": round(_peak(rows), 1),
    }
    for row in rows:
        name = re.sub(r"\W+", "_", f"{row.kind} {row.shape}".strip().lower())
        found[f"seconds_{name}"] = round(row.seconds, 5)
        if row.flops:
            found[f"calls_{name}"] = row.calls
            found[f"gflops_{name}"] = round(row.flops / row.seconds / 1e9, 1)
            found[f"seconds_alone_{name}"] = round(row.alone, 5)
            found[f"seconds_product_{name}"] = round(row.product, 5)
    return found
