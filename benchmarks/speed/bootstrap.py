"""Measure the paired bootstrap: 10,000 samples of 10 detectors on 7 sets of 10,000 images.

Run ``python benchmarks/speed/bootstrap.py --threads 2``; ``--json FILE`` writes flat figures.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from common import machine, spread, write_figures

from oodbench.hardware import count_cpus
from oodbench.measures.bootstrap import bootstrap_auroc
from oodbench.measures.paired import components, covariance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--detectors", type=int, default=10)
    parser.add_argument("--sets", type=int, default=7)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    known = random.normal(0, 1, (options.detectors, options.images))
    unknown = random.normal(1, 1, (options.detectors, options.sets, options.images))
    seconds = []
    for _ in range(options.repetitions):
        start = time.perf_counter()
        areas = bootstrap_auroc(known, unknown, samples=options.samples, threads=options.threads)
        seconds.append(time.perf_counter() - start)
    delong = covariance([components(known[0], unknown[0])])[0, 0] ** 0.5
    figures = {
        "samples": options.samples,
        "detectors": options.detectors,
        "sets": options.sets,
        "images": options.images,
        "threads": options.threads,
        "repetitions": options.repetitions,
        **spread("bootstrap", seconds),
        "ratio_of_errors_bootstrap_over_delong": round(
            float(areas[:, 0].mean(axis=1).std() / delong), 4
        ),
        **machine(),
    }
    for name, value in figures.items():
        print(f"{name:40} {value}")
    write_figures(figures, options.json)


if __name__ == "__main__":
    main()
