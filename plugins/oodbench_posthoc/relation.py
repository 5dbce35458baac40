"""Neural relation graph: how strongly an image is tied to the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.knn import directions
from oodbench_posthoc.nearest import ROWS
from oodbench_posthoc.streamed import gather_rows

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 0.03
"""A relation of so much or less counts as none, as in the authors' code."""


class NeuralRelation(Detector):
    """Score by how weakly an image is related to the training images.

    s(x) = -sum_i k(x, x_i)^t over the training images x_i, k(x, x_i) = max(cos(z, z_i), 0) p'p_i,
    and 0 where that is 0.03 or less; z are the penultimate features and p the probabilities of the
    softmax.

    Args:
        power: t > 0; the authors take 1 for OOD images.

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES, Need.LOGITS})
    info = Info(
        name="relation",
        title="Relation",
        summary="Weak relations to training images, by features and probabilities",
        paper=Paper(
            title="Neural Relation Graph: A Unified Framework for Identifying Label Noise and "
            "Outlier Data",
            authors="Kim et al.",
            venue="NeurIPS",
            year=2023,
            url="https://arxiv.org/abs/2301.12321",
        ),
    )
    space: ClassVar = {"power": (1.0, 2.0, 4.0, 6.0, 8.0)}

    def __init__(self, *, power: float = 1.0) -> None:
        check_positive("power", power)
        self.power = power

    def fit(self, train: Stream, context: Context) -> Self:
        """Keep the direction of the features and the probabilities of each training image."""
        import torch

        everybody = torch.arange(len(train))
        self.directions_ = gather_rows(train, lambda batch: directions(batch.features), everybody)
        self.probabilities_ = gather_rows(
            train, lambda batch: batch.logits.softmax(dim=1), everybody
        )
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative sum of the relations: (n,) float64."""
        import torch

        own, probabilities = directions(batch.features), batch.logits.softmax(dim=1)
        total = own.new_zeros(len(own), dtype=torch.float64)
        for start in range(0, len(self.directions_), ROWS):
            part = slice(start, start + ROWS)
            alike = (own @ self.directions_[part].T).clamp_(min=0)
            relations = alike.mul_(probabilities @ self.probabilities_[part].T)
            relations.masked_fill_(relations <= SMALLEST, 0)
            total += relations.pow_(self.power).sum(dim=1, dtype=torch.float64)
        return -total
