"""The audit of a benchmark: OOD sets that a trivial statistic separates or that repeat ID images.

An OOD set that brightness separates from the ID set tells nothing about what else a detector has
seen, and one that holds ID training images punishes the detectors that recognise them.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from oodbench.contracts import SHORTCUT, Context, Detector, GeneratedDataset, Need, PluginError
from oodbench.engine.progress import Progress
from oodbench.errors import InvalidData, UserError, describe
from oodbench.hardware import BATCH_SIZES
from oodbench.images.duplicates import Reference
from oodbench.images.fitting import write_fitted
from oodbench.images.geometry import select
from oodbench.images.npy import ArrayFile
from oodbench.images.sources import Source
from oodbench.measures.metrics import auroc
from oodbench.plan.planning import HEAVY_CPUS
from oodbench.registry.isolation import isolated
from oodbench.registry.lookup import load_registry
from oodbench.request.detectors import FAMILY
from oodbench.request.options import Options
from oodbench.request.request import Request
from oodbench.request.resolution import Resolved, resolve
from oodbench.stages.score import checked
from oodbench.stages.stream import ArrayStream, Rows

SEPARATES = 0.9
"""The AUROC from which a trivial statistic counts as separating an OOD set."""


@dataclass(frozen=True)
class Finding:
    """The findings about an OOD set.

    Attributes:
        dataset: what tables call it.
        images: number of its images that the benchmark uses.
        auroc: AUROC of each trivial statistic, as a fraction; NaN where it failed.
        exact: (m, 2) int64, positions in the data set, and in the ID training set, of images whose
            pixels are the same once they are fitted to the ID geometry.
        near: (p, 2) int64, the same for near duplicates (`oodbench.images.duplicates.DEFINITION`).
    """

    dataset: str
    images: int
    auroc: dict[str, float]
    exact: np.ndarray
    near: np.ndarray

    @property
    def separated_by(self) -> list[str]:
        """Return the trivial statistics that separate the set, best first."""
        found = [name for name, auroc in self.auroc.items() if auroc >= SEPARATES]
        return sorted(found, key=lambda name: -self.auroc[name])


@dataclass(frozen=True)
class Audit:
    """The findings about a benchmark.

    Attributes:
        findings: one for each OOD set whose images can be had.
        missing: the other OOD sets, with the reason.
        broken: trivial statistics that failed, with the reason.
    """

    findings: list[Finding]
    missing: dict[str, str]
    broken: dict[str, str]


def audit(options: Options, progress: Progress) -> Audit:
    """Audit the benchmark that the options name; no classifier is trained.

    Args:
        options: as of a run; whatever detectors they name, the trivial statistics are computed.
        progress: told of each data set.

    Raises:
        UserError: if the request cannot be served.
    """
    options = dataclasses.replace(options, detectors=[FAMILY + SHORTCUT], validation_images=0)
    resolved = resolve(options, load_registry())
    request = resolved.request
    progress.planned(1 + len(request.ood))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return _audit(resolved, Path(folder), progress)


def _audit(resolved: Resolved, folder: Path, progress: Progress) -> Audit:
    """Audit a benchmark; its images in the geometry of the ID set are kept in a folder."""
    request = resolved.request
    with progress.step(f"fit the statistics to {request.train.dataset.info.label}"):
        train = _read(request.train, request, None, folder / "train.npy")
        inside = _read(request.test, request, request.images_per_set, folder / "test.npy")
        statistics = _Statistics(request, train, inside, resolved.broken)
        reference = Reference(train.images)
    findings = []
    missing = dict(resolved.missing)
    ood = zip(request.titles()[1:], request.ood, strict=True)
    for number, (title, source) in enumerate(ood):
        if isinstance(source.dataset, GeneratedDataset):
            missing[title] = (
                "its images are made by a trained generator; 'oodbench run' compares them"
            )
            continue
        with progress.step(f"audit {title}"):
            try:
                path = folder / f"{number}.npy"
                outside = _read(source, request, request.images_per_set, path)
            except InvalidData as error:
                missing[title] = str(error)
                continue
            found = reference.find(outside.images)
            for pairs in (found.exact, found.near):
                pairs[:, 0] = outside.positions[pairs[:, 0]]
            areas = statistics.areas(outside)
        findings.append(Finding(title, len(outside.images), areas, found.exact, found.near))
    if not findings:
        raise UserError("no OOD set can be audited: " + "; ".join(missing.values()))
    return Audit(findings, missing, statistics.broken)


class _Images(NamedTuple):
    """The images of a data set that a run uses.

    Attributes:
        images: (n, c, h, w) uint8, in the geometry of the ID set.
        labels: (n,) int64.
        positions: (n,) int64, in the data set.
    """

    images: ArrayFile
    labels: np.ndarray
    positions: np.ndarray


class _Statistics:
    """The trivial statistics, fitted on the ID training images.

    Args:
        request: names them.
        train: the ID training images.
        inside: the ID test images.
        broken: the statistics that could not be made, with the reason.

    Attributes:
        broken: those, and the ones that failed since.
    """

    def __init__(
        self, request: Request, train: _Images, inside: _Images, broken: Mapping[str, str]
    ) -> None:
        self.broken = dict(broken)
        self._classes = request.train.dataset.num_classes
        self._detectors = dict(request.detectors)
        context = Context(torch.device("cpu"), 0, request.shape, self._classes)
        stream = self._stream(train)
        self._each(lambda detector: _fit(detector, stream, context))
        self._inside = self._each(lambda detector: self._scores(detector, inside))

    def areas(self, outside: _Images) -> dict[str, float]:
        """Return the AUROC of each statistic on OOD images; NaN where it failed."""
        found = self._each(lambda detector: self._scores(detector, outside))
        areas = {name: auroc(self._inside[name], scores) for name, scores in found.items()}
        return areas | dict.fromkeys(self.broken, math.nan)

    def _each(self, action: Callable[[Detector], np.ndarray]) -> dict[str, np.ndarray]:
        """Apply a function to each statistic, leaving out those that fail."""
        results = {}
        for name, detector in list(self._detectors.items()):
            try:
                with isolated():
                    results[name] = action(detector)
            except Exception as error:  # a third-party plugin may raise anything
                self.broken[name] = describe(error)
                del self._detectors[name]
        return results

    def _stream(self, images: _Images) -> ArrayStream:
        return ArrayStream(
            Rows([images.images]),
            torch.from_numpy(images.labels),
            frozenset({Need.INPUTS}),
            self._classes,
            batch_size=BATCH_SIZES["cpu"],
        )

    def _scores(self, detector: Detector, images: _Images) -> np.ndarray:
        with torch.no_grad():
            found = [checked(detector.score(batch), batch) for batch in self._stream(images)]
        return torch.cat(found).numpy()


def _fit(detector: Detector, stream: ArrayStream, context: Context) -> np.ndarray:
    if (detector.needs | detector.needs_to_fit()) - {Need.INPUTS}:
        raise PluginError("it needs more than images, unlike a trivial statistic")
    detector.fit(stream, context)
    return np.empty(0)


def _read(source: Source, request: Request, at_most: int | None, path: Path) -> _Images:
    found = source.load()
    count = len(found) if at_most is None else at_most
    positions = select(len(found), count, request.selection_seed)
    write_fitted(found.images, positions, request.shape, path, cpus=min(request.cpus, HEAVY_CPUS))
    return _Images(ArrayFile.open(path), found.labels[positions], positions)
