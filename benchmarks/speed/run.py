"""Measure a run of ten detectors against one bare forward pass, and against pytorch-ood.

    python benchmarks/speed/run.py [--id mnist] [--images 4000] [--json FILE]

Three ways are measured in turns in one process, with the same trained network, images, precision,
batch size and number of threads:

bare         every image passed through the network once, in a plain loop that keeps logits and
             features. The images are those of the run: the ID training images, on which five of
             the detectors are fitted, the ID test images and the OOD images.
run          `oodbench.run` with the inline engine. What the other two are given as well is in its
             store already: the trained classifier and the prepared images. All the rest is
             measured: verifying data and store, planning, passing images, fitting, scoring,
             evaluating, writing the files of the run.
pytorch-ood  fitting its detectors, and `Benchmark.evaluate` with the list of them, which keeps the
             logits and features of an OOD set for all detectors. It is spared some of what its
             documentation has it do: training images are passed once, not once for each detector
             that is fitted; all detectors share one encoder object, without which it passes images
             for each of them; its images are tensors of floats before the clock starts.

Imports are not measured. The memory is the peak of a process that does the run and nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rival
import torch
from common import Figures, machine, spread, write_figures
from tabulate import tabulate
from torch import Tensor, nn

import oodbench
from oodbench.hardware import BATCH_SIZES, count_cpus
from oodbench.plan.jobs import Ref
from oodbench.plan.planning import HEAVY_CPUS
from oodbench.registry.lookup import load_registry
from oodbench.request.options import Options
from oodbench.runs.runner import Planned, plan_options
from oodbench.stages.modules import autocast, load_classifier
from oodbench.store.artifacts import Store
from oodbench.store.paths import DATA_VARIABLE, data_folder

KEPT = ("prepare", "train")
"""The kinds of artifact that are in the store before the clock starts."""

MADE_AGAIN = ("extract", "reduce", "fit", "score", "probe", "evaluate")
"""The kinds of artifact that are deleted before each run, and made again in it."""

IN_NEW_PROCESS = """
import json, resource, sys, oodbench
oodbench.run(**json.loads(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""What the process does whose memory is measured."""


class Network(nn.Module):
    """A classifier that passes images as the run does: all but the head in the given precision.

    Args:
        module: the classifier.
        precision: ``"float32"`` or ``"bfloat16"``.
    """

    def __init__(self, module: nn.Module, precision: str) -> None:
        super().__init__()
        self.module = module
        self.precision = precision
        self.head = module.head

    def features(self, images: Tensor) -> Tensor:
        """Map images (n, c, h, w) float32 in [0, 1] to features (n, d) float32."""
        with autocast("cpu", self.precision):
            found = self.module.features(images.contiguous(memory_format=torch.channels_last))
        return found.float()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, c, h, w) float32 in [0, 1] to logits (n, k) float32."""
        return self.head(self.features(images))


@dataclass(frozen=True)
class Setting:
    """What is measured, ready to be run.

    Attributes:
        request: the arguments of `oodbench.run`, but for ``out``.
        made_again: artifacts to delete before each run.
        network: the trained classifier.
        images: (n, c, h, w) uint8 by name: "train", "test", "validation" and the titles of the OOD
            sets.
        sets: the same for pytorch-ood.
    """

    request: Mapping[str, Any]
    made_again: list[Ref]
    network: Network
    images: Mapping[str, Tensor]
    sets: rival.Sets

    @property
    def distinct_images(self) -> int:
        """Return the number of images, each of which has to be passed once."""
        return sum(len(images) for images in self.images.values())

    def forget(self) -> None:
        """Delete what a run is to make again."""
        for ref in self.made_again:
            shutil.rmtree(Path(self.request["store"]).joinpath(*ref), ignore_errors=True)


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = set_up(arguments, folder, rival.DETECTORS)
        figures, differences = measure(setting, arguments.repetitions, folder)
    figures |= {
        "detectors": len(rival.DETECTORS),
        "ood_sets": len(setting.sets.ood_names),
        "id": arguments.id,
        "images_per_set": arguments.images,
        "precision": arguments.precision,
        "batch_size": arguments.batch_size,
        "threads": count_threads(),
        "repetitions": arguments.repetitions,
        **machine(),
    }
    show(figures, differences)
    write_figures(figures, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    usual = "mnist" if DATA_VARIABLE in os.environ else "digits"
    parser.add_argument(
        "--id",
        default=usual,
        help=f"benchmark (default: mnist where {DATA_VARIABLE} is set, else digits)",
    )
    parser.add_argument("--images", type=int, default=4000, help="of each test set at most")
    parser.add_argument("--epochs", type=int, help="of the classifier (default: the benchmark's)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZES["cpu"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--store", type=Path, help="keep the classifier and the images here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def count_threads() -> int:
    """Return the number of threads that a run passes images with."""
    return min(count_cpus(), HEAVY_CPUS)


def set_up(arguments: argparse.Namespace, folder: Path, detectors: Sequence[str]) -> Setting:
    """Train the classifier and prepare the images, where that is not done yet."""
    classifier = load_registry().benchmarks[arguments.id].target.classifier
    chosen = {} if arguments.epochs is None else {classifier: {"epochs": arguments.epochs}}
    request = {
        "benchmark": arguments.id,
        "images": arguments.images,
        "detectors": list(detectors),
        "parameters": chosen,
        "data": str(data_folder(None)),
        "device": "cpu",
        "precision": arguments.precision,
        "batch_size": arguments.batch_size,
        "download": False,
    }
    store = Store(arguments.store or folder / "store")
    first = {"detectors": ["temperature-scaling"]}  # which wants the validation images prepared
    oodbench.run(**request | first, store=store.root, out=folder / "first")
    prepared = plan_options(Options(**request), store)
    for title, reason in prepared.resolved.missing.items():
        print(f"{title} is left out: {reason}")
    return _setting(request | {"store": str(store.root), "engine": "inline"}, prepared, store)


def _setting(request: Mapping[str, Any], prepared: Planned, store: Store) -> Setting:
    """Load the classifier and the images that a run finds in the store."""
    plan, resolved = prepared.plan, prepared.resolved.request
    by_stage = {
        stage: [ref for ref in plan.jobs if ref.stage == stage] for stage in (*KEPT, *MADE_AGAIN)
    }
    of_id, titles = ("train", "test", "validation"), resolved.titles()[1:]
    names = (*of_id, *titles)
    found = {name: store.open(*ref) for name, ref in zip(names, by_stage["prepare"], strict=True)}
    images = {name: torch.from_numpy(np.load(each / "images.npy")) for name, each in found.items()}
    labelled = {
        name: rival.labelled(images[name], torch.from_numpy(np.load(found[name] / "labels.npy")))
        for name in of_id
    }
    ood = {
        name: rival.labelled(images[name], torch.full((len(images[name]),), -1)) for name in titles
    }
    module = load_classifier(resolved.classifier, store.open(*by_stage["train"][0]), "cpu")
    return Setting(
        request,
        [ref for stage in MADE_AGAIN for ref in by_stage[stage]],
        Network(module, resolved.precision),
        images,
        rival.Sets(labelled["train"], labelled["test"], ood, labelled["validation"]),
    )


def measure(setting: Setting, repetitions: int, folder: Path) -> tuple[Figures, dict[str, float]]:
    """Measure the three ways; return the figures, and the differences in AUROC by detector."""
    outs = (folder / f"run-{number}" for number in itertools.count())
    ways: dict[str, Callable[[], Any]] = {
        "bare": lambda: pass_images(setting),
        "run": lambda: oodbench.run(**setting.request, out=next(outs)),
        "pytorch_ood": lambda: rival.evaluate(
            setting.sets, setting.network, setting.request["batch_size"]
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    forwarded: dict[str, int] = {}
    results: dict[str, Any] = {}
    for _ in range(repetitions):
        for name, way in ways.items():
            setting.forget()
            torch.set_num_threads(count_threads())
            with counting(type(setting.network.module)) as count:
                started = time.perf_counter()
                results[name] = way()
                seconds[name].append(time.perf_counter() - started)
            forwarded[name] = count()
    differences = compare(results["run"], results["pytorch_ood"])
    setting.forget()
    return figures_of(seconds, forwarded, setting) | {
        "largest_auroc_difference": max(differences.values()),
        "peak_memory_mib": peak_memory(setting, next(outs)),
    }, differences


def pass_images(setting: Setting) -> list[tuple[Tensor, Tensor]]:
    """Pass every image through the network once; return logits and features of each batch."""
    network, size = setting.network, setting.request["batch_size"]
    kept = []
    with torch.inference_mode():
        for images in setting.images.values():
            for batch in images.split(size):
                features = network.features(batch.float().div_(255))
                kept.append((network.head(features), features))
    return kept


@contextmanager
def counting(network: type[nn.Module]) -> Iterator[Callable[[], int]]:
    """Count the images that pass through modules of a class, whoever made them."""
    passed: list[int] = []
    original = network.features

    def features(self: nn.Module, images: Tensor) -> Tensor:
        passed.append(len(images))
        return original(self, images)

    with mock.patch.object(network, "features", features):
        yield lambda: sum(passed)


def compare(run: oodbench.Run, aurocs: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return by detector how far the AUROC of a run is from pytorch-ood's on any OOD set."""
    records = run.records[run.records["ood_dataset"] != ""]
    if set(records["status"]) != {"ok"}:
        raise SystemExit(f"the run failed: {set(records['error'].dropna())}")
    differences: dict[str, float] = {}
    for record in records.itertuples():
        difference = abs(record.auroc - aurocs[record.detector, record.ood_dataset])
        differences[record.detector] = max(difference, differences.get(record.detector, 0.0))
    return differences


def figures_of(
    seconds: Mapping[str, list[float]], forwarded: Mapping[str, int], setting: Setting
) -> Figures:
    """Return times, ratios of their medians, and counts of images."""
    figures: Figures = {}
    for name, each in seconds.items():
        figures |= spread(name, each)
    bare, run, other = (statistics.median(seconds[name]) for name in seconds)
    return figures | {
        "ratio_run_over_bare": round(run / bare, 3),
        "ratio_pytorch_ood_over_run": round(other / run, 3),
        "images_forwarded": forwarded["run"],
        "images_forwarded_bare": forwarded["bare"],
        "images_forwarded_pytorch_ood": forwarded["pytorch_ood"],
        "distinct_images": setting.distinct_images,
    }


def peak_memory(setting: Setting, out: Path) -> float:
    """Return the most memory in MiB that a process occupies that does the run alone."""
    request = json.dumps({**setting.request, "out": str(out)})
    command = [sys.executable, "-c", IN_NEW_PROCESS, request]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    kilobytes = int(done.stdout.split()[-1])
    return round(kilobytes / (2**20 if sys.platform == "darwin" else 2**10), 1)


def show(figures: Figures, differences: Mapping[str, float]) -> None:
    """Print the figures as tables."""
    ways = {"bare": "images_forwarded_bare", "run": "images_forwarded"}
    ways["pytorch_ood"] = "images_forwarded_pytorch_ood"
    rows = [
        [name, *(figures[f"seconds_{name}{end}"] for end in ("", "_min", "_max")), figures[count]]
        for name, count in ways.items()
    ]
    headers = ["way", "median s", "min s", "max s", "images forwarded"]
    print(tabulate(rows, headers, floatfmt=".2f"))
    print()
    apart = ("seconds_", "images_forwarded")
    print(tabulate([pair for pair in figures.items() if not pair[0].startswith(apart)]))
    print()
    print(tabulate(differences.items(), ["detector", "largest difference in AUROC"]))


if __name__ == "__main__":
    main()
