"""Probabilities of classes, so that those of a sure classifier do not tie."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def sorted_probabilities(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest probability (n,), and the others (n, k - 1) from large to small, float64.

    1 less the largest is the sum of the others, which float64 tells apart where the largest is 1.
    """
    probabilities = logits.double().sort(dim=1, descending=True).values.softmax(dim=1)
    return probabilities[:, 0], probabilities[:, 1:]
