"""AdaSCALE: the energy, scaled the more the less features move with the image."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    InvalidParameter,
    Need,
    Paper,
    State,
    Stream,
)
from oodbench_posthoc.checks import check_fraction, check_positive, check_share
from oodbench_posthoc.perturbed import gradients_in, in_parts

if TYPE_CHECKING:
    from torch import Tensor

PAPER = Paper(
    title="AdaSCALE: Adaptive Scaling for OOD Detection",
    authors="Regmi",
    venue="arXiv",
    year=2025,
    url="https://arxiv.org/abs/2503.08023",
)

DEVIATIONS = (
    "The step is in units of pixels in [0, 1]; the authors take 0.5 in units of normalised pixels, "
    "of which the standard deviation is about 0.25 for photographs.",
    "At least one feature counts where a share of few features is less.",
    "The authors choose the percentiles on OOD validation images.",
)


class AdaptiveScaling(Detector):
    """Score by the energy after a scaling that depends on how features move with the image.

    r(x) = (sum of max(z, 0)) / (sum of its (1 - q(x)) d largest), where z are the d penultimate
    features. The percentile is q(x) = q_min + (1 - F(m(x))) (q_max - q_min), F being the empirical
    distribution function of m over validation images, and
    m(x) = (sum of max(z', 0) over A) + l (sum of |z' - z| over B). z' are the features of the image
    after a step along the sign of the gradient that the predicted logit has in it, in those values
    of pixels where that gradient is smallest; A and B are where z is largest.

    Args:
        low: q_min, in [0, 1).
        high: q_max, in [0, 1), at least q_min.
        share_corrected: share of the features that is A, in (0, 1).
        share_moved: share of the features that is B, in (0, 1).
        weight_moved: l > 0.
        share_pixels: share of the values of pixels that are moved, in (0, 1).
        step: of a value, in units of pixels in [0, 1].

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    family = "posthoc"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.INPUTS, Need.CLASSIFIER, Need.VALIDATION})
    space: ClassVar = {
        "low": (0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
        "high": (0.75, 0.8, 0.85, 0.9, 0.95, 0.99),
    }

    def __init__(
        self,
        *,
        low: float = 0.75,
        high: float = 0.85,
        share_corrected: float = 0.05,
        share_moved: float = 0.01,
        weight_moved: float = 10.0,
        share_pixels: float = 0.05,
        step: float = 0.125,
    ) -> None:
        check_fraction("low", low)
        check_fraction("high", high)
        if low > high:
            raise InvalidParameter(f"low ({low}) must not be above high ({high})")
        for name, share in (
            ("share_corrected", share_corrected),
            ("share_moved", share_moved),
            ("share_pixels", share_pixels),
        ):
            check_share(name, share)
        check_positive("weight_moved", weight_moved)
        check_positive("step", step)
        self.low = low
        self.high = high
        self.share_corrected = share_corrected
        self.share_moved = share_moved
        self.weight_moved = weight_moved
        self.share_pixels = share_pixels
        self.step = step

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn how features of validation images move."""
        import torch

        self.classifier: Any = context.classifier
        found = [self._follow(batch.inputs).moved for batch in context.validation]
        self.moved_ = torch.cat(found).sort().values
        return self

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned, and the classifier."""
        self.classifier = context.classifier
        return super().restore(state, context)

    def score(self, batch: Batch) -> Tensor:
        """Return the energy of scaled logits: (n,) float64."""
        import torch

        features, moved = self._follow(batch.inputs)
        below = torch.searchsorted(self.moved_, moved, right=True) / len(self.moved_)
        percentiles = self.low + (1 - below.double()) * (self.high - self.low)
        positive = features.clamp(min=0)
        d = features.shape[1]
        kept = (d - (d * percentiles).round()).clamp(min=1).long()
        sums = positive.sort(dim=1, descending=True).values.cumsum(dim=1)
        largest = sums.gather(1, kept[:, None] - 1)
        ratios = torch.where(largest > 0, sums[:, -1:] / largest, d / kept[:, None]).float()
        return -self.scaled_logits(features, ratios).double().logsumexp(dim=1)

    @abstractmethod
    def scaled_logits(self, features: Tensor, ratios: Tensor) -> Tensor:
        """Return scaled logits (n, k) of features (n, d) and ratios (n, 1)."""

    def _follow(self, images: Tensor) -> _Followed:
        """Return the features of images (n, c, h, w), and how they move with these."""
        import torch

        parts = [self._follow_part(part) for part in in_parts(images)]
        return _Followed(*map(torch.cat, zip(*parts, strict=True)))

    def _follow_part(self, images: Tensor) -> _Followed:
        import torch

        features: Any = None

        def predicted_logit(images: Tensor) -> Tensor:
            nonlocal features
            features = self.classifier.features(images)
            logits: Tensor = self.classifier.head(features)
            return logits.amax(dim=1)

        gradients = gradients_in(images, predicted_logit)
        features = features.detach()
        flat = gradients.flatten(1)
        count = max(int(flat.shape[1] * self.share_pixels), 1)
        least = flat.abs().topk(count, dim=1, largest=False).indices
        steps = torch.zeros_like(flat).scatter(1, least, self.step * flat.gather(1, least).sign())
        after = self.classifier.features(images + steps.view_as(images))
        corrected = after.clamp(min=0).gather(1, _largest(features, self.share_corrected))
        moved = (after - features).abs().gather(1, _largest(features, self.share_moved))
        sums = corrected.double().sum(dim=1) + self.weight_moved * moved.double().sum(dim=1)
        return _Followed(features, sums)


class _Followed(NamedTuple):
    """Features (n, d), and how they move with the image (n,) float64."""

    features: Tensor
    moved: Tensor


def _largest(features: Tensor, share: float) -> Tensor:
    """Return where the largest of an image's features (n, d) are, a share of them: (n, m)."""
    places: Tensor = features.topk(max(int(features.shape[1] * share), 1), dim=1).indices
    return places


class AdaptiveActivationScaling(AdaptiveScaling):
    """Score by the energy of the logits of scaled features (AdaSCALE-A).

    s(x) = -log sum_y exp(head(z exp(r(x)))_y), with r(x) of `AdaptiveScaling`.
    """

    info = Info(
        name="adascale-a",
        title="AdaSCALE-A",
        summary="High free energy of features scaled by a percentile that their movement gives",
        paper=PAPER,
        deviations=DEVIATIONS,
    )

    def scaled_logits(self, features: Tensor, ratios: Tensor) -> Tensor:
        """Return the logits (n, k) of scaled features."""
        logits: Tensor = self.classifier.head(features * ratios.exp())
        return logits


class AdaptiveLogitScaling(AdaptiveScaling):
    """Score by the energy of scaled logits (AdaSCALE-L).

    s(x) = -log sum_y exp(r(x)^2 f_y(x)), with r(x) of `AdaptiveScaling` and the logits f(x).
    """

    info = Info(
        name="adascale-l",
        title="AdaSCALE-L",
        summary="High free energy of logits scaled by a percentile that features' movement gives",
        paper=PAPER,
        deviations=DEVIATIONS,
    )

    def scaled_logits(self, features: Tensor, ratios: Tensor) -> Tensor:
        """Return scaled logits (n, k)."""
        logits: Tensor = self.classifier.head(features) * ratios.square()
        return logits
