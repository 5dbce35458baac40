"""The registry of implementations by other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .cases import Case

Parameters: TypeAlias = "Mapping[str, Any] | None"
"""Ours, by our names for them, or None for the library's defaults."""

Scorer: TypeAlias = Callable[[Case, Parameters], Any]
"""Returns scores (m,), larger = more OOD, as an array or a tensor."""


@dataclass(frozen=True)
class Implementation:
    """A detector of ours, computed by another library.

    Attributes:
        detector: our name for it.
        library: the distribution.
        score: returns its scores.
        parts: whether the library has the parts alone, which are put together here.
        defaults: whether the library has defaults of its own.
        maps: whether it needs a network with maps.
    """

    detector: str
    library: str
    score: Scorer
    parts: bool = False
    defaults: bool = True
    maps: bool = False


FOUND: list[Implementation] = []


def computes(
    *detectors: str, by: str, parts: bool = False, defaults: bool = True, maps: bool = False
) -> Callable[[Scorer], Scorer]:
    """Register a function as the implementation of one or several of our detectors."""

    def register(score: Scorer) -> Scorer:
        for name in detectors:
            FOUND.append(Implementation(name, by, score, parts, defaults, maps))
        return score

    return register
