"""Shapings: changes of the features or of the head, by themselves scored by the energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Need, Shaping, State, Stream
from oodbench_posthoc.energy import Energy

if TYPE_CHECKING:
    from torch import Tensor


class EnergyShaping(Shaping):
    """A shaping that by itself scores by the energy of the logits that follow from it.

    Attributes:
        for_positive: whether it assumes that features are not negative, as after a ReLU.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    for_positive: ClassVar[bool] = True
    head: Any

    def learn(self, train: Stream) -> None:
        """Learn from the features of the training images; nothing, unless overridden."""

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn from the features of the training images, and take the head."""
        self.learn(train)
        self.negative_ = share_of_negative(train)
        return self._take(context)

    def remarks(self) -> list[str]:
        """Return that features are negative, where the method assumes that none is."""
        if not (self.for_positive and self.negative_):
            return []
        share = f"{100 * self.negative_:.0f}" if self.negative_ >= 0.005 else "less than 1"
        return [
            f"Of the features of training images {share} % are negative; {self.info.label} "
            "assumes that none is."
        ]

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned, and the head."""
        super().restore(state, context)
        return self._take(context)

    def _take(self, context: Context) -> Self:
        head: Any = context.classifier.head
        self.head = self.shape_head(head)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the energy of the logits that the changed head makes of changed features: (n,)."""
        logits = self.head(self.shape(batch.features))
        return Energy().score(Batch(batch.labels, logits=logits))


def share_of_negative(train: Stream) -> float:
    """Return which share of the features of a stream are negative."""
    negative = total = 0
    for batch in train:
        negative += int((batch.features < 0).sum())
        total += batch.features.numel()
    return negative / total


def count_kept(features: Tensor, left_out: float) -> int:
    """Return how many of an image's features (n, d) remain without a share of them, at least 1."""
    d = features.shape[1]
    return max(d - round(d * left_out), 1)


def sum_over_largest(features: Tensor, count: int) -> Tensor:
    """Return the sum of all features (n, d) over that of the ``count`` largest: (n, 1).

    It is large where an image has many features of about the same size. Where all are 0, they are
    taken for equal.
    """
    silent = (features == 0).all(dim=1, keepdim=True)
    features = features.masked_fill(silent, 1)
    ratios: Tensor = features.sum(1, keepdim=True) / features.topk(count, dim=1).values.sum(
        1, keepdim=True
    )
    return ratios
