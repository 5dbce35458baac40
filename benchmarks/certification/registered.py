"""All implementations by other libraries."""

from __future__ import annotations

from . import by_classical, by_detectors, by_oodeel, by_others, by_pytorch_ood
from .implementations import FOUND

MODULES = (by_classical, by_detectors, by_oodeel, by_others, by_pytorch_ood)
"""They register what they know when they are imported."""

IMPLEMENTATIONS = tuple(FOUND)
