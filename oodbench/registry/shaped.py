"""A classifier with shaped features and a shaped head. Importing it imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from oodbench.contracts import Shaping


class ShapedClassifier(nn.Module):
    """A classifier whose features and head shapings have changed.

    Args:
        classifier: as `oodbench.contracts.Classifier.build` returns it.
        shapings: fitted, in the order in which they apply.
    """

    def __init__(self, classifier: nn.Module, shapings: Sequence[Shaping]) -> None:
        super().__init__()
        self._classifier: Any = classifier
        self._shapings = shapings
        head: Any = self._classifier.head
        for shaping in shapings:
            head = shaping.shape_head(head)
        self.head = head

    def shape(self, features: Tensor) -> Tensor:
        """Return shaped features: (n, d) float to the same."""
        for shaping in self._shapings:
            features = shaping.shape(features)
        return features

    def features(self, x: Tensor) -> Tensor:
        """Return the shaped features of images (n, c, h, w) float in [0, 1]: (n, d)."""
        return self.shape(self._classifier.features(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images (n, c, h, w) float in [0, 1]: (n, k)."""
        logits: Tensor = self.head(self.features(x))
        return logits
