"""The contract of a shaping: a detector whose change of the features can precede other scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts.detector import Detector

if TYPE_CHECKING:
    from torch import Tensor, nn


class Shaping(Detector):
    """A detector that changes penultimate features, or what the head makes of them, to score them.

    Alone it scores as its paper does. In a composition such as ``react+knn`` another detector
    scores in its place, and reads the changed features, the logits that the changed head makes of
    them, and a classifier of both. A shaping is fitted on the features of the classifier as they
    are, also where another one precedes it.

    It overrides one of the two methods, which are called after ``fit`` or ``restore``. Both have to
    let gradients pass, for scores that take gradients.
    """

    def shape(self, features: Tensor) -> Tensor:
        """Return changed features: (n, d) float to the same."""
        return features

    def shape_head(self, head: nn.Module) -> nn.Module:
        """Return a head in place of the classifier's: a module from features (n, d) to logits."""
        return head

    @classmethod
    def shapes_features(cls) -> bool:
        """Return whether it changes features, and not the head alone."""
        return cls.shape is not Shaping.shape
