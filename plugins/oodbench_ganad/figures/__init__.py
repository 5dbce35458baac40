"""Draw the figures of GANAD's paper that show its generator."""

from __future__ import annotations

from oodbench.contracts import Figure

FIGURES: tuple[type[Figure], ...] = ()
