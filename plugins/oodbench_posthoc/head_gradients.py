"""Detectors that measure gradients in the weights of the classifier's head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Context, Detector, Need, State, Stream

if TYPE_CHECKING:
    from torch import nn


class HeadGradient(Detector):
    """A detector that measures gradients in the weights of a linear head.

    The gradients that a loss has in a linear head are the outer products of its gradients in the
    logits and of the features. Their norms are products of norms, so that no gradient of an image
    is ever made, where pytorch-ood makes one as large as the head for each.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})
    head: nn.Linear

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the head of the classifier."""
        return self.restore({}, context)

    def restore(self, state: State, context: Context) -> Self:
        """Take the head of the classifier.

        Raises:
            PluginError: if it is not linear.
        """
        from oodbench_posthoc.heads import linear

        head: Any = context.classifier.head
        self.head = linear(head)
        return self
