"""Measure how long the leaderboard takes to build from many runs.

    python benchmarks/speed/leaderboard.py --runs 1000 --json figures.json

Runs of random scores are written to a temporary folder: an eighth as many detectors as runs, eight
seeds of each, in benchmarks of up to 25 detectors; or, with ``--contradicting``, runs of one
detector with other scores for the same seed, so that each is an entry of its own in one table, the
worst case of the ranking. Timed is the command, in a process of its own: reading and verifying the
runs, computing AUROCs and paired tests anew, writing the page and the tables.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import Figures, machine, spread, write_figures

from oodbench.measures.evaluation import recompute
from oodbench.results.run import write_run

ID, SETS = "Digits", ("Glyphs", "Photos", "Uniform")
SEEDS, DETECTORS = 8, 25
SPLITS = ((ID, "calibration"), (ID, "test"), *((title, "test") for title in SETS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", type=int, default=100, help="of each set")
    parser.add_argument("--contradicting", action="store_true", help="each run an entry of its own")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave runs and page there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        make_runs(folder / "runs", options.runs, options.images, options.contradicting)
        seconds = [build(folder / "runs", folder / "site") for _ in range(options.repeat)]
        page = (folder / "site" / "index.html").stat().st_size
    figures: Figures = {
        "runs": options.runs,
        "images": options.images,
        "contradicting": options.contradicting,
        "repetitions": options.repeat,
        **spread("build", seconds),
        "page_bytes": page,
        **machine(),
    }
    print(f"{options.runs} runs: {figures['seconds_build']} s (median of {options.repeat})")
    write_figures(figures, options.json)


def build(runs: Path, site: Path) -> float:
    """Return the seconds that the command takes."""
    program = Path(sys.executable).with_name("oodbench")
    started = time.perf_counter()
    subprocess.run([program, "leaderboard", runs, "--out", site], check=True, capture_output=True)
    return time.perf_counter() - started


def make_runs(folder: Path, count: int, images: int, contradicting: bool) -> None:
    """Write runs, one detector and seed each."""
    random = np.random.default_rng(0)
    for number in range(count):
        detector, seed = ("energy", 0) if contradicting else (number // SEEDS, number % SEEDS)
        benchmark = 0 if contradicting else number // SEEDS // DETECTORS
        make_run(folder / f"{number:05}", f"detector-{detector}", seed, benchmark, images, random)


def make_run(
    directory: Path,
    detector: str,
    seed: int,
    benchmark: int,
    images: int,
    random: np.random.Generator,
) -> None:
    shift = {ID: 0.0, **{title: random.uniform(0.5, 2) for title in SETS}}
    index = np.arange(images)
    common = {"classifier": "net", "classifier_seed": 0}
    scores, predictions = [], []
    for title, split in SPLITS:
        place = {**common, "dataset": title, "split": split, "index": index}
        own = random.normal(shift[title], 1, images)
        labels = index % 10 if title == ID else np.full(images, -1)
        scores.append(pd.DataFrame({"detector": detector, "seed": seed, **place, "score": own}))
        predictions.append(pd.DataFrame({**place, "label": labels, "prediction": index % 10}))
    all_scores, all_predictions = (
        pd.concat(frames, ignore_index=True) for frames in (scores, predictions)
    )
    all_scores["seed"] = all_scores["seed"].astype("Int64")
    records = recompute(all_scores, all_predictions).assign(fit_seconds=2.0, score_seconds=0.01)
    write_run(
        directory,
        records=records,
        scores=all_scores,
        predictions=all_predictions,
        info=describe(detector, benchmark),
    )


def describe(detector: str, benchmark: int) -> dict[str, object]:
    """Return what ``run.json`` says, as far as the leaderboard reads it."""
    return {
        "benchmark": f"benchmark-{benchmark}",
        "request": {
            "detectors": {detector: {"temperature": 1.0}},
            "classifier": {"net": {"width": 4}},
            "images_per_set": 1000,
            "calibration_images": 1000,
            "selection_seed": benchmark,
            "groups": {"near": list(SETS[:1]), "far": list(SETS[1:])},
            "fingerprints": {"train": "a", "test": "b", "ood": dict.fromkeys(SETS, "c")},
        },
        "deviations": {},
        "plugins": {detector: "samples 1.0"},
    }


if __name__ == "__main__":
    main()
