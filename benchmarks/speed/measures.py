"""Measure how long all measures of one row take, against one sort of the same scores.

    python benchmarks/speed/measures.py [--scores 10000000] [--repetitions 5] [--json FILE]

Half of the scores are of ID images, of which the classifier gets a tenth wrong. In each repetition
`numpy.sort` of all scores and `evaluate_ood` take turns; the ratio is that of their medians.
Processor time is measured, because other processes do not count in it. Memory is what is allocated
at most at a time besides the arrays that are given, as a multiple of these scores.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Figures, machine, spread, write_figures
from tabulate import tabulate

from oodbench.measures import evaluate_ood


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", type=int, default=10_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures = measure(arguments.scores, arguments.repetitions) | machine()
    print(tabulate(figures.items(), floatfmt=".3f"))
    write_figures(figures, arguments.json)


def measure(scores: int, repetitions: int) -> Figures:
    """Return seconds and memory of a row and of a sort."""
    given = draw(scores)
    everything = np.concatenate([given["id_scores"], given["ood_scores"]])
    sort: list[float] = []
    row: list[float] = []
    for _ in range(repetitions):
        sort.append(_seconds(lambda: np.sort(everything)))
        row.append(_seconds(lambda: evaluate_ood(**given)))
    tracemalloc.start()
    evaluate_ood(**given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "scores": scores,
        "repetitions": repetitions,
        **spread("sort", sort),
        **spread("row", row),
        "ratio": round(statistics.median(row) / statistics.median(sort), 3),
        "memory_ratio": round(peak / everything.nbytes, 3),
    }


def draw(scores: int) -> dict[str, Any]:
    """Return the arguments of `evaluate_ood` for so many test images."""
    random = np.random.default_rng(0)
    count = scores // 2
    return {
        "id_scores": random.normal(0, 1, count),
        "calibration_scores": random.normal(0, 1, 1000),
        "ood_scores": random.normal(1, 1, scores - count),
        "correct": random.random(count) < 0.9,
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
