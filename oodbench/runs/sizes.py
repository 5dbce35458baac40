"""The images of a plan before they are prepared: how many each job handles, and reading them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from oodbench.contracts import ImageSet
from oodbench.errors import UserError
from oodbench.images.duplicates import hash_images
from oodbench.images.fitting import WORTHWHILE
from oodbench.images.geometry import select, to_geometry
from oodbench.images.shares import Sample
from oodbench.images.sources import Source
from oodbench.images.subsets import ClassSubset
from oodbench.plan.jobs import Job, Ref
from oodbench.plan.specs import PrepareSpec
from oodbench.stages import Work
from oodbench.stages.prepare import write_images
from oodbench.stages.probe import IMAGES
from oodbench.store.artifacts import Store

KEPT_BYTES = 2**30
"""Bytes of images that stay in memory, to be read once; others are read again."""

DECODED = 64
"""Images on which decoding is timed."""

ARRAYS_BYTES = 24
"""What the store keeps of an image besides its pixels: label, position and hash."""


@dataclass(frozen=True)
class Reading:
    """What it takes to read the images of a split.

    Attributes:
        labels: (n,) int64, of all images.
        seconds: of the processor, to open the set.
        each: the same, to decode an image and fit it to the ID geometry.
        decodes: whether images are decoded when they are asked for, by several processes.
    """

    labels: np.ndarray
    seconds: float
    each: float
    decodes: bool


class Sets:
    """Reads the image sets of a plan, each as rarely as memory allows.

    Attributes:
        lost: why sets cannot be read that a run would leave out, by the job that prepares them.
    """

    def __init__(self) -> None:
        self.lost: dict[Ref, str] = {}
        self._readings: dict[str, Reading] = {}
        self._found: dict[str, ImageSet] = {}
        self._bytes = 0
        self._passed, self._busy = 0.0, 0.0

    def load(self, source: Source) -> ImageSet:
        """Return all images of a split, whatever the share."""
        known = self._found.get(source.fingerprint)
        if known is not None:
            return known
        if source.whole is not None:
            assert isinstance(source.dataset, ClassSubset)
            return source.dataset.among(self.load(source.whole))
        found = source.load()
        source.verify()
        size = found.images.nbytes if isinstance(found.images, np.ndarray) else 0
        if self._bytes + size <= KEPT_BYTES:
            self._bytes += size
            self._found[source.fingerprint] = found
        return found

    def few(self, source: Source, shape: tuple[int, int, int], count: int, seed: int) -> Source:
        """Return ``count`` images of a source, or all if there are not more.

        They are as many of each class as of any other, while a class has five times as many.
        """
        labels = self._reading(source, shape).labels
        if count >= len(source.positions(labels)):
            return source
        _, few = source.shared(count, seed)
        if len(few.positions(labels)) == count:
            return few
        return replace(source, share=Sample(len(labels), seed, count, seed))

    def prepare(self, job: Job, store: Store) -> None:
        """Do what the stage "prepare" does, without reading the images again."""
        spec = cast("PrepareSpec", job.spec)
        found = self.load(spec["source"])
        with store.create(*job.ref) as draft:
            work = Work({}, draft, "cpu", store.checkpoint(*job.ref), lambda *_: None)
            write_images(found, spec["source"].positions(found.labels), spec, work)

    def cost(self, job: Job, images: int) -> tuple[float, float, int]:
        """Return what it takes to prepare so many images.

        Returns:
            Seconds that pass, seconds of the processor, and the bytes that it leaves.
        """
        reading = self._readings[job.spec["source"].fingerprint]
        stretch = self._passed / self._busy if self._busy else 1.0
        size = math.prod(job.spec["shape"]) + ARRAYS_BYTES
        processor = reading.seconds + reading.each * images
        processes = job.resources.cpus if reading.decodes and images >= WORTHWHILE else 1
        passed = stretch * (reading.seconds + reading.each * images / processes)
        return passed, processor, images * size

    def sizes(self, jobs: Mapping[Ref, Job]) -> dict[Ref, int]:
        """Return how many images each job handles; inputs come before the jobs that need them."""
        sizes: dict[Ref, int] = {}
        for ref, job in jobs.items():
            is_first = "source" in job.spec and not job.inputs
            sizes[ref] = len(self.selected(job)) if is_first else _handled(job, sizes)
        return sizes

    def selected(self, job: Job) -> np.ndarray:
        """Return the labels of the images that a job leaves which prepares those of a source: (n,).

        There are none if the set cannot be read and a run would leave it out.
        """
        spec = job.spec
        source: Source = spec["source"]
        try:
            labels = self._reading(source, spec["shape"]).labels
        except UserError as error:
            if job.is_vital:
                raise
            self.lost[job.ref] = str(error)
            return np.empty(0, np.int64)
        positions = source.positions(labels)
        at_most = len(positions) if spec["at_most"] is None else spec["at_most"]
        chosen: np.ndarray = positions[select(len(positions), at_most, spec["selection_seed"])]
        selected: np.ndarray = labels[chosen]
        return selected

    def _reading(self, source: Source, shape: tuple[int, int, int]) -> Reading:
        """Return what it takes to read a set, timed when it is asked for first."""
        if source.fingerprint not in self._readings:
            self._readings[source.fingerprint] = self._time(source, shape)
        return self._readings[source.fingerprint]

    def _time(self, source: Source, shape: tuple[int, int, int]) -> Reading:
        """Read a set, and decode some of its images."""
        passed, busy = time.perf_counter(), time.process_time()
        found = self.load(source)
        opened = time.process_time()
        chosen = select(len(found.labels), DECODED, 0)
        hash_images(to_geometry(found.images[chosen], shape))
        ended = time.process_time()
        self._busy += ended - busy
        self._passed += time.perf_counter() - passed
        each = (ended - opened) / len(chosen)
        decodes = not isinstance(found.images, np.ndarray)
        return Reading(found.labels, opened - busy, each, decodes)


def _handled(job: Job, sizes: Mapping[Ref, int]) -> int:
    """Return how many images a job handles, given how many its inputs hold."""
    inputs, spec = job.inputs, job.spec
    if job.ref.stage == "generate":
        made: int = spec["at_most"]
        return made
    if job.ref.stage == "probe":
        scored = (ref for role, ref in inputs.items() if role.startswith("scores:"))
        sets = [sizes[ref] for ref in scored if ref in sizes]  # others are optional
        return sum(min(size, max(IMAGES // len(sets), 1)) for size in sets)
    if "images" in inputs:
        count = sizes[inputs["images"]]
        calibration = min(spec.get("count", 0), count)
        parts = {"all": count, "calibration": calibration, "rest": count - calibration}
        at_most: int | None = spec.get("at_most")
        chosen: int = parts[spec["part"]]
        return chosen if at_most is None else min(chosen, at_most)
    learned = inputs.get("reduced:fit", inputs.get("train"))
    return sizes[learned] if learned else sum(sizes[ref] for ref in inputs.values())
