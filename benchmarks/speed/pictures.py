"""Measure a run on a folder of many pictures: its peak memory, and how fast it decodes them.

    python benchmarks/speed/pictures.py [--count 100000] [--processes 1] [--json FILE]

The pictures, JPEG files of 64 to 200 pixels a side, are an OOD set under a small ID set of such
pictures, whose classifier learns for one epoch. Memory is that of all processes of the run
together, looked at ten times a second. ``share`` says how many pictures a second the run prepares
(decodes, fits, writes, and verifies that no file was changed), as a share of what a loop does that
opens, crops, resizes and forgets them, in as many processes on as many CPUs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from common import Figures, machine, write_figures
from PIL import Image
from tabulate import tabulate

from oodbench.store.artifacts import MANIFEST

SIDE = 64
CLASSES = 4
DIFFERENT = 200
"""Pictures that differ; their files all do, since each ends with its number."""

ARGUMENTS = """
--id {folder}/id --ood {folder}/ood --classifier preact-resnet --detectors msp,energy,knn
--set preact-resnet.epochs=1 --set preact-resnet.width=2 --images {count} --device cpu
--precision float32 --engine inline --quiet --store {folder}/store --out {folder}/run
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--id-images", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep all there, and go on with what is there")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        print(_decode(Path(arguments.bare[0]), int(arguments.bare[1]), arguments.processes))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        figures = measure(folder, arguments.count, arguments.id_images, arguments.processes)
    print(tabulate(figures.items(), floatfmt=".3f"))
    write_figures(figures | machine(), arguments.json)


def measure(folder: Path, count: int, id_images: int, processes: int) -> Figures:
    """Return peak memory in MiB, pictures a second of the run and of a bare loop, and the share."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processes])
    write_pictures(folder / "ood", count, seed=0)
    for number, split in enumerate(("train", "test")):
        for label in range(CLASSES):
            place = folder / "id" / split / f"class-{label}"
            write_pictures(place, id_images // CLASSES, seed=1 + CLASSES * number + label)
    before = _bare(folder / "ood", processes)
    started = time.perf_counter()
    peak = _run(ARGUMENTS.format(folder=folder, count=count).split())
    seconds = time.perf_counter() - started
    bare = (before + _bare(folder / "ood", processes)) / 2
    prepared = count / _seconds_of(folder / "store", "prepare ood")
    return {
        "pictures": count,
        "processes": processes,
        "peak_mebibytes": round(peak / 2**20),
        "seconds": round(seconds, 1),
        "prepared_per_second": round(prepared, 1),
        "bare_per_second": round(bare, 1),
        "share": round(prepared / bare, 3),
    }


def write_pictures(folder: Path, count: int, seed: int) -> None:
    """Write JPEG files of 64 to 200 pixels a side, unless they are there."""
    if (folder / f"{count - 1:06}.jpg").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    encoded = []
    for _ in range(min(count, DIFFERENT)):
        height, width = random.integers(SIDE, 201, 2).tolist()
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height))).astype(int)
        noisy = smooth + random.integers(-20, 20, smooth.shape)
        file = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        encoded.append(file.getvalue())
    for number in range(count):
        content = encoded[number % len(encoded)] + number.to_bytes(4, "big")
        (folder / f"{number:06}.jpg").write_bytes(content)


def _bare(folder: Path, processes: int) -> float:
    """Return how many pictures a second loops in some processes decode together."""
    started = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--processes",
                str(processes),
                "--bare",
                folder,
                str(number),
            ],
            stdout=subprocess.PIPE,
        )
        for number in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in started)


def _decode(folder: Path, number: int, processes: int) -> float:
    """Return how many of the pictures that fall to one process it decodes in a second."""
    paths = sorted(folder.iterdir())[number:10_000:processes]
    started = time.perf_counter()
    for path in paths:
        with Image.open(path) as picture:
            width, height = picture.size
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
            fitted = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
            np.asarray(fitted)
    return len(paths) / (time.perf_counter() - started)


def _run(arguments: Sequence[str]) -> int:
    """Make a run in a process of its own; return the peak memory of its processes together."""
    from_here = "from oodbench.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", from_here, "run", *arguments])
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(_resident, _family(process.pid))))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the run ended with exit code {process.returncode}")
    return most


def _family(process: int) -> Iterator[int]:
    """Yield a process and all that it started."""
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = path.read_text(encoding="ascii").split()
        except OSError:  # it has ended
            continue
        for child in children:
            yield from _family(int(child))


def _resident(process: int) -> int:
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    except OSError:  # it has ended
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _seconds_of(store: Path, title: str) -> float:
    """Return how long a job took."""
    metas = [json.loads(path.read_text())["meta"] for path in store.glob(f"*/*/{MANIFEST}")]
    (found,) = (meta["seconds"] for meta in metas if meta["title"].startswith(title))
    return float(found)


if __name__ == "__main__":
    main()
