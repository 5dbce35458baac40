"""GROOD: the gradient towards a prototype of OOD images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.gaussians import Values, means_of
from oodbench_posthoc.nearest import distance_to_nearest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DRAWN, KEPT = 100, 10
"""Images of noise that are drawn, and of these how many with the highest energy are kept."""


class PrototypeGradients(Detector):
    """Score by how unlike those of training images the gradient at an OOD prototype is (GROOD).

    s(x) = min_i |g(x) - g(x_i)| over the training images x_i that are classified rightly.
    g(x) = dL / dq is the gradient that the cross-entropy L of softmax(-|z - q_j|) has in the OOD
    prototype q, where q_j are the mean features of each class and q itself: with the probability p
    of q, g(x) = p (z - q) / |z - q|, where z are the penultimate features. q is the mean of the
    features of images of blurred uniform noise.

    Args:
        neighbours: which nearest training gradient is taken.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES})
    fit_needs = frozenset({Need.FEATURES, Need.LOGITS, Need.INPUTS, Need.CLASSIFIER})
    stochastic = True
    info = Info(
        name="grood",
        title="GROOD",
        summary="Gradient of a loss at an OOD prototype that is far from those of training images",
        paper=Paper(
            title="GROOD: GRadient-Aware Out-of-Distribution Detection",
            authors="ElAraby et al.",
            venue="TMLR",
            year=2025,
            url="https://arxiv.org/abs/2312.14427",
        ),
        deviations=(
            "The OOD prototype is made of blurred noise, which the authors' code offers, and not "
            "of OOD validation images or of mixed features of an early layer.",
            "The nearest gradient is found exactly, not by an index.",
            "Thresholds that keep a share of training images are 0, since each is its own nearest.",
        ),
    )

    def __init__(self, *, neighbours: int = 1) -> None:
        check_count("neighbours", neighbours)
        self.neighbours = neighbours

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the prototypes, then the gradients of training images."""
        import torch

        means = means_of(Values(train, lambda batch: batch.features), context.num_classes)
        noise = blurred_noise(DRAWN, context.shape, context.generator()).to(context.device)
        features = context.classifier.features(noise)  # type: ignore[operator]
        head: Any = context.classifier.head
        energies = -head(features).logsumexp(dim=1)
        unlike = features[energies.topk(KEPT).indices].double().mean(dim=0)
        self.prototypes_ = torch.cat([means, unlike[None]])
        right = [
            self._gradients(batch.features)[batch.logits.argmax(dim=1) == batch.labels]
            for batch in train
        ]
        gradients = torch.cat(right)
        self.longest_ = float(gradients.norm(dim=1).max().clamp(min=1e-30))
        self.bank_ = (gradients / self.longest_).float()
        return self

    def _gradients(self, features: Tensor) -> Tensor:
        """Return the gradients at the OOD prototype: (n, d) float64, of length 1 at most."""
        away = features.double()[:, None] - self.prototypes_
        distances = away.norm(dim=2)
        probability = (-distances).softmax(dim=1)[:, -1:]
        gradients: Tensor = probability * away[:, -1] / distances[:, -1:].clamp(min=1e-12)
        return gradients

    def score(self, batch: Batch) -> Tensor:
        """Return the distance to the nearest gradient of a training image: (n,) float64."""
        gradients = (self._gradients(batch.features) / self.longest_).float()
        return distance_to_nearest(gradients, self.bank_, self.neighbours) * self.longest_


def blurred_noise(count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Return images of uniform noise, blurred by a Gaussian: (n, c, h, w) float32 in [0, 1].

    Args:
        count: n.
        shape: (c, h, w).
        generator: draws the noise, and the width of the Gaussian from 0.2 to 5.
    """
    import torch
    from torchvision.transforms.functional import gaussian_blur

    noise = torch.rand((count, *shape), generator=generator)
    sigma = 0.2 + 4.8 * float(torch.rand((), generator=generator))
    kernel = [min(5, 2 * shape[2] - 1), min(7, 2 * shape[1] - 1)]  # padded by less than the image
    blurred: Tensor = gaussian_blur(noise, kernel, [sigma, sigma])
    return blurred
