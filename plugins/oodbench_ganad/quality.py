"""How good the generator's images are, as the classifier sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quality:
    """The quality of a generator's images.

    Attributes:
        images: how many were measured.
        accuracy: share of the images that the classifier gives the class they were made for.
        distance: Fréchet distance between their features and those of ID images.
        floor: the distance between halves of the ID images: what no generator can fall below.
    """

    images: int
    accuracy: float
    distance: float
    floor: float


def measure(
    logits: np.ndarray, classes: np.ndarray, features: np.ndarray, real: np.ndarray
) -> Quality:
    """Measure the quality of images.

    Args:
        logits: (n, k), the classifier's, of the generator's images.
        classes: (n,) the classes that they were made for.
        features: (n, d), the classifier's penultimate features of the generator's images.
        real: (m, d), those of ID images, of which the first n count.
    """
    return Quality(
        images=len(logits),
        accuracy=float((logits.argmax(axis=1) == classes).mean()),
        distance=frechet_distance(features, real[: len(features)]),
        floor=frechet_distance(real[::2], real[1::2]),
    )


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the squared Fréchet distance between normal distributions fitted to features.

    With means m and covariances S, as the Fréchet inception distance (Heusel et al., "GANs Trained
    by a Two Time-Scale Update Rule", NeurIPS 2017), but of any features:

        |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    It falls with the number of images, even between equal distributions: compare distances of
    equally many images.

    Args:
        first: (n, d).
        second: (m, d).
    """
    means = [features.mean(axis=0, dtype=np.float64) for features in (first, second)]
    covariances = [np.cov(features, rowvar=False, dtype=np.float64) for features in (first, second)]
    root = _root(covariances[0])
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root).clip(min=0)
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(shared).sum()
    return float(((means[0] - means[1]) ** 2).sum() + spread)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
