"""Checks that the weights and outputs of a classifier are finite, before detectors are blamed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from oodbench.contracts import PluginError


def not_finite(weights: Mapping[str, Tensor]) -> str:
    """Return which weights are NaN or infinite, as "7 of its 1,200 weights ..."; "" if none is."""
    counts = {name: int((~torch.isfinite(values)).sum()) for name, values in weights.items()}
    bad = {name: count for name, count in counts.items() if count}
    if not bad:
        return ""
    total = sum(values.numel() for values in weights.values())
    first = next(iter(bad))
    others = f" and {len(bad) - 1} more tensors" if len(bad) > 1 else ""
    return f"{sum(bad.values()):,} of its {total:,} weights are NaN or infinite ({first}{others})"


def images_not_finite(features: Tensor, logits: Tensor) -> Tensor:
    """Return the number of images with a feature or a logit that is NaN or infinite: ().

    Args:
        features: (n, d).
        logits: (n, k).
    """
    finite = torch.isfinite(features).all(dim=1) & torch.isfinite(logits).all(dim=1)
    return (~finite).sum()


def refuse_outputs(bad: int, count: int, classifier: str) -> None:
    """Raise `PluginError` if outputs of some images are not finite.

    Args:
        bad: number of such images, as `images_not_finite` counts them.
        count: images that passed through the classifier.
        classifier: its name.
    """
    if bad:
        raise PluginError(
            f"classifier '{classifier}' gives features or logits that are NaN or infinite for "
            f"{bad:,} of {count:,} images; its weights are too large or damaged, or its training "
            "diverged: train it again with a lower learning rate, or give other weights"
        )
