"""Our scores against those of other implementations."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import torch
from scipy.stats import spearmanr

from oodbench.contracts import parameters

from .cases import Case
from .implementations import Implementation, Parameters


@dataclass(frozen=True)
class Agreement:
    """How far scores of two implementations agree.

    Attributes:
        difference: the largest, as a share of the range of our scores.
        correlation: Spearman's, of the scores of all images.
        broken: how many of the other implementation's scores are not finite; these are left out.
        error: what was raised, if so.
    """

    difference: float = float("nan")
    correlation: float = float("nan")
    broken: int = 0
    error: str = ""


@dataclass(frozen=True)
class Row:
    """What was measured of one implementation.

    Attributes:
        implementation: the implementation.
        version: of its distribution; None where it is not installed.
        equal: the agreement with equal parameters, by the name of the case.
        default: the same with the defaults of each.
    """

    implementation: Implementation
    version: str | None
    equal: dict[str, Agreement]
    default: dict[str, Agreement]


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def measure(implementations: Iterable[Implementation], cases: Iterable[Case]) -> list[Row]:
    """Measure implementations on the cases, those that are installed."""
    rows = [Row(each, installed(each.library), {}, {}) for each in implementations]
    for case in cases:
        ours: dict[str, np.ndarray] = {}
        for row in rows:
            name = row.implementation.detector
            if row.version is None or (row.implementation.maps and not case.has_maps):
                continue
            if name not in ours:
                ours[name] = case.scores_of(name)
            settings = parameters(case.new(name))
            row.equal[case.name] = _compare(ours[name], row.implementation, case, settings)
            if row.implementation.defaults:
                row.default[case.name] = _compare(ours[name], row.implementation, case, None)
    return rows


def _compare(
    ours: np.ndarray, implementation: Implementation, case: Case, settings: Parameters
) -> Agreement:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = implementation.score(copy.deepcopy(case), settings)  # some change the network
    except Exception as error:  # other libraries raise what they like
        return Agreement(error=f"{type(error).__name__}: {error}".partition("\n")[0])
    theirs = np.asarray(torch.as_tensor(found).detach().double()).reshape(len(ours))
    return agreement(ours, theirs)


def agreement(ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """Return how far scores (m,) agree."""
    kept = np.isfinite(theirs)
    broken = int((~kept).sum())
    if kept.sum() < 2 or np.ptp(theirs[kept]) == 0:
        return Agreement(broken=broken, error="all scores are equal or not finite")
    ours, theirs = ours[kept], theirs[kept]
    difference = float(np.abs(ours - theirs).max() / np.ptp(ours))
    return Agreement(difference, float(spearmanr(ours, theirs).statistic), broken)
