"""Compute what a run of ImageNet's size would take on many GPUs; nothing is measured.

    python benchmarks/scale.py [--gpus 8 64 512]

The run: a ResNet-50 with published weights for each classifier seed, all ImageNet training images
to fit detectors on, the ID set and six OOD sets to score. Its jobs, one for each classifier and set
or detector and set as a plan has them, are laid out on GPUs as `plan --estimate` does it. The pages
of the documentation say where the figures come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.runs.estimate import RECORD_SECONDS, schedule

CPUS_FOR_A_GPU = 16


@dataclass(frozen=True)
class Scale:
    """The size of a run, and what its parts take.

    Attributes:
        train: ID training images.
        test: images of each scored set.
        sets: scored sets.
        detectors: number of detectors.
        seeds: number of classifiers.
        again: passes of a scored image by detectors themselves, all detectors together.
        passes: images a second through the classifier.
        decoded: images a second that one process decodes.
        image, features, logits: bytes that the store keeps of an image, and of an image for a
            classifier.
        hashed: bytes a second of which a process computes the checksum, as it does before it first
            reads a file.
        overhead: seconds of a job besides.
        planned: seconds to plan a job.
    """

    train: int = 1_281_167
    test: int = 10_000
    sets: int = 7
    detectors: int = 50
    seeds: int = 10
    again: float = 5.0
    passes: float = 4_500.0
    decoded: float = 310.0
    image: int = 3 * 224 * 224 + 24
    features: int = 4 * 2048
    logits: int = 4 * 1000
    hashed: float = 1.8e9
    overhead: float = 0.05
    planned: float = 0.002


def jobs_of(scale: Scale) -> Iterator[tuple[Job, float]]:
    """Yield the jobs of a run, with what each takes, inputs before those that need them."""
    gpu, quarter, cpu = Resources(4, 1.0), Resources(1, 0.25), Resources(1, 0.0)
    decoding = Resources(4, 0.0)

    def job(name: str, needs: Resources, seconds: float, *inputs: str) -> tuple[Job, float]:
        refs = {each: Ref("job", each) for each in inputs}
        return Job(Ref("job", name), name, {}, refs, needs), scale.overhead + seconds

    def passed(images: int) -> float:
        return images / scale.passes + images * scale.image / scale.hashed

    read = scale.train * (scale.features + scale.logits) / scale.hashed
    scored = scale.test * (scale.features + scale.logits) / scale.hashed
    own = 3 * scale.again / scale.detectors * scale.test / scale.passes  # gradients included
    yield job("train", decoding, scale.train / scale.decoded / 4)
    for number in range(scale.sets):
        yield job(f"set {number}", decoding, scale.test / scale.decoded / 4)
    for seed in range(scale.seeds):
        yield job(f"{seed} rest", gpu, passed(scale.train), "train")
        for number in range(scale.sets):
            yield job(f"{seed} pass {number}", gpu, passed(scale.test), f"set {number}")
        for detector in range(scale.detectors):
            name = f"{seed} {detector}"
            yield job(f"{name} fit", quarter, 2 * read, f"{seed} rest")
            for number in range(scale.sets):
                inputs = (f"{name} fit", f"{seed} pass {number}")
                yield job(f"{name} score {number}", quarter, scored + own, *inputs)
            scores = [f"{name} score {number}" for number in range(scale.sets)]
            yield job(f"{name} probe", quarter, 0.0, *scores)
            for each in scores:
                yield job(f"{each} evaluate", cpu, 0.0, scores[0], each)


def compute(scale: Scale, gpus: int) -> dict[str, float]:
    """Return the seconds of a run on some GPUs, and what share of the GPUs it keeps busy."""
    jobs = list(jobs_of(scale))
    seconds = [took for _, took in jobs]
    room = Resources(CPUS_FOR_A_GPU * gpus, gpus)
    span, most = schedule([[job] for job, _ in jobs], seconds, room)
    work = sum(job.resources.gpus * took for job, took in jobs)
    records = scale.seeds * scale.detectors * scale.sets
    return {
        "GPUs": gpus,
        "jobs": len(jobs),
        "at a time": most,
        "jobs, min": span / 60,
        "GPUs busy": work / (span * gpus),
        "head, min": (scale.planned * len(jobs) + RECORD_SECONDS * records) / 60,
    }


def table(rows: Sequence[dict[str, float]]) -> str:
    """Return rows as a table of Markdown."""
    formats = (",d", ",d", ",d", ".0f", ".0%", ".1f")
    cells = [
        [format(value, each) for value, each in zip(row.values(), formats, strict=True)]
        for row in rows
    ]
    return tabulate(cells, list(rows[0]), tablefmt="github", disable_numparse=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64, 512])
    print(table([compute(Scale(), gpus) for gpus in parser.parse_args().gpus]))


if __name__ == "__main__":
    main()
