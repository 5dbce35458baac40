"""Detectors that learn to reconstruct ID images and score what they cannot reconstruct."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_reconstruction.complexity import InputComplexity
from oodbench_reconstruction.detectors import Autoencoder, VariationalAutoencoder


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (Autoencoder, VariationalAutoencoder, InputComplexity)
