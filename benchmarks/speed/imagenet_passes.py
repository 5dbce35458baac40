"""Measure what each post-hoc detector costs on a network of ImageNet's size.

    python benchmarks/speed/imagenet_passes.py [--images 100] [--json FILE]

The network is torchvision's ResNet-50 with random weights, the images are noise of 224 x 224 pixels
in ten classes: what is measured are passes, which need no network that knows anything. A run fits
all detectors on the training images and scores ID and OOD test images, as many of each. Beside each
detector stand the passes of an image that is scored, the shared one included, and the seconds that
it takes itself, for its fit and for all scores, over those of one bare pass of the scored images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from common import machine, write_figures
from PIL import Image
from safetensors.torch import save_file
from tabulate import tabulate

import oodbench
from oodbench.hardware import BATCH_SIZES

CLASSES = 10
SIZE = 224
SETS = ("id/train", "id/test", "ood")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="of each set (default: 100)")
    parser.add_argument("--detectors", default="all-posthoc", metavar="A,B")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, each in enumerate(SETS):
            write_noise(folder / each, arguments.images, seed=number)
        network = torchvision.models.resnet50(num_classes=CLASSES)
        save_file(network.state_dict(), folder / "resnet50.safetensors")
        bare = time_bare_pass(network, arguments.images, arguments.precision)
        run = oodbench.run(
            folder / "id",
            arguments.detectors,
            ood=[folder / "ood"],
            classifier=folder / "resnet50.safetensors",
            arch="torchvision/resnet50",
            parameters={"torchvision": {"size": SIZE}},
            validation_images=arguments.images // 5,
            precision=arguments.precision,
            device="cpu",
            engine="inline",
            store=folder / "store",
            out=folder / "run",
        )
    rows = list(summarise(run, bare))
    figures = {"images": arguments.images, "precision": arguments.precision}
    figures |= {"seconds_bare": round(bare, 3), "seconds_run": run.info["wall_seconds"]}
    for detector, passes, seconds, _ in rows:
        figures |= {f"passes_{detector}": passes, f"seconds_{detector}": seconds}
    headings = ("detector", "passes", "own seconds", "own seconds / bare pass")
    print(tabulate(rows, headings, floatfmt=("", ".2f", ".2f", ".2f")))
    print(f"\nbare pass of the scored images: {bare:.1f} s; run: {run.info['wall_seconds']:.0f} s")
    write_figures(figures | machine(), arguments.json)


def write_noise(folder: Path, images: int, seed: int) -> None:
    """Write pictures of noise, in a folder for each class."""
    random = np.random.default_rng(seed)
    for number in range(images):
        place = folder / str(number % CLASSES)
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.bmp")


@torch.no_grad()
def time_bare_pass(network: torch.nn.Module, images: int, precision: str) -> float:
    """Return the seconds of passing ID and OOD test images through the network once."""
    network = network.eval().to(memory_format=torch.channels_last)
    batch = torch.rand(min(images, BATCH_SIZES["cpu"]), 3, SIZE, SIZE)
    batch = batch.contiguous(memory_format=torch.channels_last)
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        network(batch)
    return (time.perf_counter() - started) * 2 * images / len(batch)


def summarise(run: oodbench.Run, bare: float) -> list[tuple[str, float | None, float, float]]:
    """Return name, passes, seconds and seconds over those of a bare pass, by passes."""
    records = run.records[run.records["ood_dataset"] != ""]
    rows = []
    for name, own in records.groupby("detector", sort=False):
        seconds = float(own["fit_seconds"].iloc[0] + own["score_seconds"].sum())
        passes = run.info["costs"].get(name, {}).get("forward_passes")
        rows.append((str(name), passes, round(seconds, 3), round(seconds / bare, 3)))
    return sorted(rows, key=lambda row: (row[1] or 0.0, row[2]))


if __name__ == "__main__":
    main()
