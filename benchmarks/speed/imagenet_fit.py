"""Measure fits on as many features as ImageNet's training images have: 1.28 million of 2,048.

    python benchmarks/speed/imagenet_fit.py [--images 1281167] [--json FILE]

Features are made up (each class has a mean, and a spread in directions that all classes share, and
none is negative) and written to a file in parts: 10.5 GB at full size, deleted in the end. Each
detector is fitted in a process of its own, which reads the file batch by batch and does not map it,
so that all memory that it takes is its own. The peak is the most that was resident at any time
(VmHWM of Linux), from the start of Python to the end of the fit, imports included. Then some images
are scored.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import Figures, machine, write_figures
from tabulate import tabulate
from torch import nn

from oodbench.contracts import Batch, Context, Detector, Stream
from oodbench.hardware import count_cpus
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.pnml import LikelihoodRegret
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.vim import VirtualLogitMatching

DETECTORS: Mapping[str, Callable[[], Detector]] = {
    "knn": lambda: NearestNeighbours(neighbours=1000),
    "knn-1-percent": lambda: NearestNeighbours(neighbours=10, share=0.01),
    "mahalanobis": Mahalanobis,
    "vim": VirtualLogitMatching,
    "rmd": RelativeMahalanobis,
    "pnml": LikelihoodRegret,
}
"""How to make the detectors."""

BATCH_SIZE = 2000
"""Features that are made, or read, at once."""

SHAPE = (3, 224, 224)
"""Of the images that the features stand for; nothing reads it."""


@dataclass(frozen=True)
class Features(Stream):
    """Features in a file, float32, row by row.

    Args:
        path: the file.
        count: number of rows.
        width: numbers in a row.
        num_classes: image i is of class i modulo it.
    """

    path: Path
    count: int
    width: int
    num_classes: int

    shape = SHAPE

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self.count, BATCH_SIZE):
            yield self.read(start, min(BATCH_SIZE, self.count - start))

    def read(self, start: int, count: int) -> Batch:
        """Return some rows as a batch."""
        found = np.fromfile(
            self.path, np.float32, count * self.width, offset=4 * start * self.width
        )
        labels = torch.arange(start, start + count) % self.num_classes
        return Batch(labels, features=torch.from_numpy(found).view(count, self.width))

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Not needed here."""
        raise NotImplementedError

    def make(self) -> None:
        """Write the file."""
        generator = torch.Generator().manual_seed(0)
        means = torch.randn(self.num_classes, self.width, generator=generator)
        shared = torch.randn(64, self.width, generator=generator) / 8
        with self.path.open("wb") as file:
            for start in range(0, self.count, BATCH_SIZE):
                labels = torch.arange(start, min(start + BATCH_SIZE, self.count)) % self.num_classes
                spread = torch.randn(len(labels), len(shared), generator=generator) @ shared
                noise = torch.randn(len(labels), self.width, generator=generator) / 4
                (means[labels] + spread + noise).relu().numpy().tofile(file)

    def context(self) -> Context:
        """Return the context of a fit, with a classifier that is just a head."""
        classifier = nn.Module()
        torch.manual_seed(0)
        classifier.head = nn.Linear(self.width, self.num_classes).requires_grad_(False)
        return Context(torch.device("cpu"), 0, SHAPE, self.num_classes, _classifier=classifier)


@dataclass(frozen=True)
class Measured:
    """What a fit took.

    Attributes:
        seconds: for the fit.
        peak_mib: the most memory of the process until the end of the fit.
        state_mib: of what was learned.
        score_seconds: for some images.
    """

    seconds: float
    peak_mib: float
    state_mib: float
    score_seconds: float


def main() -> None:
    arguments = _parse()
    needed = 4 * arguments.images * arguments.width
    free = shutil.disk_usage(arguments.folder).free
    if needed > free:
        raise SystemExit(
            f"the features take up {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in "
            f"{arguments.folder}: name another one with --folder, or fewer --images"
        )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        features = Features(
            Path(folder) / "features", arguments.images, arguments.width, arguments.classes
        )
        started = time.perf_counter()
        features.make()
        seconds = time.perf_counter() - started
        found = {name: in_new_process(name, features, arguments) for name in arguments.detectors}
    figures: Figures = {
        "images": arguments.images,
        "features": arguments.width,
        "classes": arguments.classes,
        "features_gib": round(needed / 2**30, 3),
        "seconds_make_features": round(seconds, 2),
        "threads": arguments.threads,
        "images_scored": arguments.score,
        **machine(),
    }
    for name, each in found.items():
        figures[f"seconds_fit_{name}"] = round(each.seconds, 2)
        figures[f"peak_memory_mib_{name}"] = round(each.peak_mib, 1)
        figures[f"state_mib_{name}"] = round(each.state_mib, 1)
        figures[f"seconds_score_{name}"] = round(each.score_seconds, 2)
    show(figures, found)
    write_figures(figures, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1_281_167)
    parser.add_argument("--width", type=int, default=2048, help="numbers in a feature")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument(
        "--detectors",
        type=lambda text: text.split(","),
        default=["knn", "knn-1-percent", "mahalanobis", "vim"],
        help=f"some of {', '.join(DETECTORS)}, with commas between them",
    )
    parser.add_argument("--score", type=int, default=100, help="images to score after each fit")
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the file is made")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.detectors) - set(DETECTORS)
    if unknown:
        parser.error(f"no such detectors: {', '.join(sorted(unknown))}")
    return arguments


def in_new_process(name: str, features: Features, arguments: argparse.Namespace) -> Measured:
    """Fit a detector in a process that does nothing else."""
    print(f"fitting {name} ...", flush=True)
    new = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, new) as pool:
        return pool.submit(_fit, name, features, arguments.threads, arguments.score).result()


def _fit(name: str, features: Features, threads: int, score: int) -> Measured:
    torch.set_num_threads(threads)
    detector = DETECTORS[name]()
    context = features.context()
    started = time.perf_counter()
    detector.fit(features, context)
    seconds = time.perf_counter() - started
    peak = peak_mib()
    tensors = (each for each in detector.state().values() if isinstance(each, torch.Tensor))
    state = sum(each.nbytes for each in tensors) / 2**20
    started = time.perf_counter()
    with torch.no_grad():
        scores = detector.score(features.read(0, score))
    if not bool(scores.isfinite().all()):
        raise SystemExit(f"{name} gives scores that are not finite")
    return Measured(seconds, peak, state, time.perf_counter() - started)


def peak_mib() -> float:
    """Return the most memory in MiB that this process has had resident."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise SystemExit("this system does not say how much memory a process took at most")


def show(figures: Figures, found: Mapping[str, Measured]) -> None:
    """Print the figures as tables."""
    apart = ("seconds_fit", "peak_memory", "state_", "seconds_score")
    print(tabulate([pair for pair in figures.items() if not pair[0].startswith(apart)]))
    rows = [
        [name, each.seconds, each.peak_mib / 1024, each.state_mib / 1024, each.score_seconds]
        for name, each in found.items()
    ]
    headers = ["detector", "fit s", "peak GiB", "state GiB", f"score {figures['images_scored']} s"]
    print()
    print(tabulate(rows, headers, floatfmt=".2f"))


if __name__ == "__main__":
    main()
