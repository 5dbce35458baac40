"""Temperature scaling: the softmax at the temperature that calibrates it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 1000.0
"""The largest temperature that is looked for; the smallest is its inverse."""

HALVINGS = 64
"""Of the interval between them, after which the temperature is exact to the last digits."""


class TemperatureScaling(Detector):
    """Score by how uncertain the classifier is once its confidence is calibrated.

    s(x) = -max_y softmax(f(x) / T)_y, where f(x) are the logits, and T minimises the cross-entropy
    of softmax(f(x) / T) over the validation images. It is convex in 1 / T, and its derivative is
    bisected in float64.
    """

    family = "posthoc"
    original = "TemperatureScaling"
    needs = frozenset({Need.LOGITS})
    fit_needs = frozenset({Need.VALIDATION})
    info = Info(
        name="temperature-scaling",
        title="Temperature scaling",
        summary="Low maximum softmax probability at a learned temperature",
        paper=Paper(
            title="On Calibration of Modern Neural Networks",
            authors="Guo et al.",
            venue="ICML",
            year=2017,
            url="https://arxiv.org/abs/1706.04599",
        ),
        deviations=(
            "Where the classifier makes no mistake on the validation images, no temperature is the "
            "best, and it is 1.",
        ),
    )

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the temperature from the logits and labels of validation images."""
        import torch

        batches = list(context.validation)
        logits = torch.cat([batch.logits for batch in batches]).double()
        labels = torch.cat([batch.labels for batch in batches])
        self.temperature_ = best_temperature(logits, labels)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the outlier score of the logits: (n,) float64."""
        scaled = batch.logits.double() / self.temperature_
        scores: Tensor = -scaled.softmax(dim=1).amax(dim=1)
        return scores


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least cross-entropy, from 1 / `LARGEST` to `LARGEST`.

    Args:
        logits: (n, k) float64.
        labels: (n,) int64; if all of them are predicted, 1 is returned.
    """
    if bool((logits.argmax(dim=1) == labels).all()):
        return 1.0
    own = logits.gather(1, labels[:, None])[:, 0]
    low, high = -math.log(LARGEST), math.log(LARGEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = (logits * (logits * math.exp(middle)).softmax(dim=1)).sum(dim=1)
        if float((expected - own).mean()) > 0:  # the derivative in exp(middle) = 1 / T
            high = middle
        else:
            low = middle
    return math.exp(-(low + high) / 2)
