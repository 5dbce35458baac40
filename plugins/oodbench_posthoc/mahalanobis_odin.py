"""The Mahalanobis distance of images moved towards their nearest class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.perturbed import gradients_in

if TYPE_CHECKING:
    from torch import Tensor


class PerturbedMahalanobis(Mahalanobis):
    """Score by how far an image stays from every class when it is moved towards the nearest.

    s(x) = M(x'), x' = x - e sign(dM(x) / dx), where M(x) is the score of `Mahalanobis`. This takes
    two passes forward and one back.

    Args:
        step: e > 0, in units of pixel values in [0, 1].

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    original = "MahalanobisODIN"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    info = Info(
        name="mahalanobis-odin",
        title="Mahalanobis-ODIN",
        summary="Large Mahalanobis distance of an image that was moved towards its nearest class",
        paper=Paper(
            title="A Simple Unified Framework for Detecting Out-of-Distribution Samples and "
            "Adversarial Attacks",
            authors="Lee et al.",
            venue="NeurIPS",
            year=2018,
            url="https://arxiv.org/abs/1807.03888",
        ),
        deviations=(
            "Penultimate features alone, and no regression on OOD images that weighs layers.",
            "The step is a parameter, in units of pixels in [0, 1], and not tuned on OOD images.",
        ),
    )
    space: ClassVar = {"step": (0.0005, 0.001, 0.0014, 0.002, 0.005, 0.01)}

    def __init__(self, *, step: float = 0.002) -> None:
        check_positive("step", step)
        self.step = step

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn means and covariance of the features, and take the classifier."""
        return self.restore(super().fit(train, context).state(), context)

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned, and the classifier."""
        self.classifier: Any = context.classifier
        return super().restore(state, context)

    def score(self, batch: Batch) -> Tensor:
        """Return half the squared distance of the moved images: (n,) float64."""
        gradients = gradients_in(batch.inputs, self._half_distance_of_images)
        return self._half_distance_of_images(batch.inputs - self.step * gradients.sign())

    def _half_distance_of_images(self, images: Tensor) -> Tensor:
        return self.half_distance(self.classifier.features(images))
