"""WeiPer+KLD: the distribution of the features and of logits of perturbed heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_count, check_positive

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 0.01
"""Added to the densities of features before they are compared, as by the authors."""

EPSILON_PERTURBED = 0.025
"""Added to the densities of perturbed logits."""

AT_ONCE = 2**22
"""Logits that are made at once."""


class PerturbedWeights(Detector):
    """Score by how unlike those of training images the values of an image are distributed (WeiPer).

    s(x) = D(z) + a D(W x) - b mean_i max_y softmax(f^i(x))_y. f^i(x) are the logits of the head
    with weights w_y + e |w_y| n, n being a random direction for each i and y, and W x those of all
    r heads together. D(v) = KL(P, Q(v)) + KL(Q(v), P) compares the histogram Q of an image's values
    v, features z or logits W x, smoothed, with its mean P over the training images. The histograms
    have equal bins between the smallest and the largest value of training images.

    The defaults are those of the authors' configuration.

    Args:
        repeats: r, the number of perturbed heads.
        distance: e > 0.
        bins: of a histogram.
        smoothing: bins that the histogram of features is averaged over.
        smoothing_perturbed: bins that the histogram of perturbed logits is averaged over.
        weight_perturbed: a >= 0.
        weight_msp: b >= 0.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    stochastic = True
    info = Info(
        name="weiper",
        title="WeiPer+KLD",
        summary="Unusual distributions of the features and of the logits of perturbed heads",
        paper=Paper(
            title="WeiPer: OOD Detection using Weight Perturbations of Class Projections",
            authors="Granz et al.",
            venue="NeurIPS",
            year=2024,
            url="https://openreview.net/forum?id=8HeUvbImKT",
        ),
        deviations=("The authors choose parameters for each benchmark on OOD validation images.",),
    )
    space: ClassVar = {
        "distance": (1.8, 2.0, 2.2, 2.4),
        "smoothing": (4, 8, 12, 20, 40),
        "smoothing_perturbed": (15, 25, 40),
        "weight_perturbed": (0.1, 1.0, 2.5, 4.0),
        "weight_msp": (0.1, 0.25, 1.0, 2.5, 5.0),
    }

    def __init__(
        self,
        *,
        repeats: int = 100,
        distance: float = 1.8,
        bins: int = 100,
        smoothing: int = 4,
        smoothing_perturbed: int = 15,
        weight_perturbed: float = 2.5,
        weight_msp: float = 0.1,
    ) -> None:
        for name, count in (
            ("repeats", repeats),
            ("bins", bins),
            ("smoothing", smoothing),
            ("smoothing_perturbed", smoothing_perturbed),
        ):
            check_count(name, count)
        for name, value in (
            ("distance", distance),
            ("weight_perturbed", weight_perturbed),
            ("weight_msp", weight_msp),
        ):
            check_positive(name, value)
        self.repeats = repeats
        self.distance = distance
        self.bins = bins
        self.smoothing = smoothing
        self.smoothing_perturbed = smoothing_perturbed
        self.weight_perturbed = weight_perturbed
        self.weight_msp = weight_msp

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the ranges of the values, then their mean histograms, batch by batch.

        Raises:
            PluginError: if the head is not linear.
        """
        import torch

        self.seed_ = context.generator().initial_seed()
        self._take(context)
        ends: Any = torch.tensor([[torch.inf, -torch.inf]] * 2, dtype=torch.float64)
        for batch in train:
            for row, values in enumerate((batch.features, *self._logits(batch.features))):
                own = ends[min(row, 1)]
                own[0], own[1] = min(own[0], values.min()), max(own[1], values.max())
        self.ends_ = ends.to(context.device)
        total: Any = 0
        for batch in train:
            features, perturbed, _ = self._histograms(batch.features)
            total = total + torch.stack([features.sum(dim=0), perturbed.sum(dim=0)])
        self.means_ = total / len(train)
        return self

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned, and draw the same heads."""
        super().restore(state, context)
        return self._take(context)

    def _take(self, context: Context) -> Self:
        """Take the head, and draw the directions."""
        import torch

        from oodbench_posthoc.heads import linear

        classifier: Any = context.classifier
        self.head = linear(classifier.head)
        generator = torch.Generator().manual_seed(self.seed_)
        weight = self.head.weight
        drawn = torch.randn((self.repeats, *weight.shape), generator=generator)
        directions = torch.nn.functional.normalize(drawn, dim=2).to(weight)
        self.weights = weight + self.distance * weight.norm(dim=1, keepdim=True) * directions
        return self

    def _logits(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the logits (n, r, k) of some perturbed heads at a time."""
        import torch
        from torch.nn.functional import linear

        at_once = max(AT_ONCE // (len(features) * self.weights.shape[1]), 1)
        for weights in torch.split(self.weights, at_once):
            logits = linear(features, weights.flatten(0, 1)).unflatten(1, weights.shape[:2])
            yield logits if self.head.bias is None else logits + self.head.bias

    def _histograms(self, features: Tensor) -> _Histograms:
        perturbed: Any = 0
        certainty: Any = 0
        for logits in self._logits(features):
            perturbed = perturbed + self._count(logits.flatten(1), 1)
            certainty = certainty + logits.double().softmax(dim=2).amax(dim=2).sum(dim=1)
        drawn = self.repeats * self.weights.shape[1]
        return _Histograms(
            self._count(features, 0) / features.shape[1],
            perturbed / drawn,
            certainty / self.repeats,
        )

    def _count(self, values: Tensor, row: int) -> Tensor:
        """Count values (n, m) in bins (n, bins), float64; none outside of the range."""
        import torch

        low, high = self.ends_[row]
        edges = low + (high - low) * torch.linspace(
            0, 1, self.bins + 1, dtype=torch.float64, device=low.device
        )
        places = torch.bucketize(values.double(), edges[1:-1], right=True)
        within = ((values >= low) & (values <= high)).double()
        counts: Tensor = within.new_zeros((len(values), self.bins)).scatter_add(1, places, within)
        return counts

    def score(self, batch: Batch) -> Tensor:
        """Return the divergences of the histograms, less the mean certainty: (n,) float64."""
        features, perturbed, certainty = self._histograms(batch.features)
        usual, usual_perturbed = self.means_
        return (
            divergence(usual, features, self.smoothing, EPSILON)
            + self.weight_perturbed
            * divergence(usual_perturbed, perturbed, self.smoothing_perturbed, EPSILON_PERTURBED)
            - self.weight_msp * certainty
        )


class _Histograms(NamedTuple):
    """The histograms of features and of perturbed logits (n, bins), and the mean MSP (n,)."""

    features: Tensor
    perturbed: Tensor
    certainty: Tensor


def divergence(usual: Tensor, histograms: Tensor, smoothing: int, epsilon: float) -> Tensor:
    """Return the symmetric KL divergence of smoothed histograms from the usual one: (n,).

    Args:
        usual: (bins,), sums to about 1.
        histograms: (n, bins).
        smoothing: bins that are averaged; the first and the last are repeated beyond the ends.
        epsilon: is added to all bins before they are normalised.
    """
    from torch.nn.functional import avg_pool1d, pad

    before = (smoothing - 1) // 2
    padded = pad(histograms[:, None], (before, smoothing - 1 - before), mode="replicate")
    q = avg_pool1d(padded, smoothing, stride=1)[:, 0] + epsilon
    q, p = q / q.sum(dim=1, keepdim=True), (usual + epsilon) / (usual + epsilon).sum()
    divergences: Tensor = ((p - q) * (p.log() - q.log())).sum(dim=1)
    return divergences
