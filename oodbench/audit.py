"""Audit a benchmark: which OOD sets a trivial statistic separates, and which repeat ID images.

An OOD set that brightness separates from the ID set tells nothing about what else a detector has
seen, and one that holds ID training images punishes the detectors that recognise them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oodbench import registry
from oodbench.contracts import SHORTCUT
from oodbench.detectors import FAMILY
from oodbench.duplicates import Reference
from oodbench.engine import Observer
from oodbench.images import select, to_geometry
from oodbench.request import Options, resolve
from oodbench.results import Run
from oodbench.runner import run_options
from oodbench.sources import Source

SEPARATES = 0.9
"""AUROC from which on a trivial statistic counts as separating an OOD set."""


@dataclass(frozen=True)
class Finding:
    """What was found about an OOD set.

    Attributes:
        dataset: what tables call it.
        images: number of its images that the benchmark uses.
        auroc: AUROC of each trivial statistic, as a fraction; NaN where it failed.
        exact: (m, 2) int64, positions in the data set, and in the ID training set, of images whose
            pixels are the same once they are fitted to the ID geometry.
        near: (p, 2) int64, likewise of near duplicates (`oodbench.duplicates.DEFINITION`).
    """

    dataset: str
    images: int
    auroc: dict[str, float]
    exact: np.ndarray
    near: np.ndarray

    @property
    def separated_by(self) -> list[str]:
        """Return the trivial statistics that separate the set, the best first."""
        found = [name for name, auroc in self.auroc.items() if auroc >= SEPARATES]
        return sorted(found, key=lambda name: -self.auroc[name])


def audit(
    options: Options, *, store: Path, out: Path | None, force: bool, observer: Observer
) -> tuple[Run, list[Finding]]:
    """Audit the benchmark that the options name.

    Args:
        options: as of a run; whatever detectors they name, the trivial statistics are run.
        store: where what was computed is kept.
        out: where the run's files go; None for a folder of its own.
        force: whether to replace another request's run in ``out``.
        observer: told what happens.

    Returns:
        The run, and a finding for each OOD set whose images can be had.

    Raises:
        UserError: if the request cannot be served.
    """
    options = dataclasses.replace(options, detectors=[FAMILY + SHORTCUT])
    run = run_options(
        options,
        store=store,
        out=out,
        engine="inline",
        ray_address=None,
        force=force,
        observer=observer,
    )
    resolved = resolve(options, registry.load())
    request, benchmark = resolved.request, resolved.benchmark
    train, _ = _images(request.train, request.shape, None, benchmark.selection_seed)
    reference = Reference(train)
    findings = []
    for title, source in zip(request.titles()[1:], request.ood, strict=True):
        images, positions = _images(
            source, request.shape, benchmark.images_per_set, benchmark.selection_seed
        )
        found = reference.find(images)
        for pairs in (found.exact, found.near):
            pairs[:, 0] = positions[pairs[:, 0]]
        findings.append(Finding(title, len(images), _auroc(run, title), found.exact, found.near))
    return run, findings


def _images(
    source: Source, shape: tuple[int, int, int], at_most: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (n, c, h, w) uint8 that a run uses, and their positions (n,) int64."""
    found = source.load()
    positions = select(len(found), len(found) if at_most is None else at_most, seed)
    return to_geometry(found.images[positions], shape), positions


def _auroc(run: Run, title: str) -> dict[str, float]:
    rows = run.records[run.records["ood_dataset"] == title]
    return {
        str(name): float(auroc) for name, auroc in zip(rows["detector"], rows["auroc"], strict=True)
    }
