"""The Mahalanobis distance to the nearest class, in several layers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    Layers,
    Need,
    Paper,
    State,
    Stream,
    by_channel,
    channels,
)
from oodbench_posthoc.gaussians import Gaussians, Values, moments_of

if TYPE_CHECKING:
    from torch import Tensor


PARTS = tuple(each.name for each in fields(Gaussians))


class LayeredMahalanobis(Detector):
    """Score by how far an image is from every class in each of several layers.

    s(x) = sum_l min_y (z_l - m_ly)' S_l^+ (z_l - m_ly) / 2, where z_l are the means over places, or
    tokens, of what layer l puts out, m_ly are their means over class y, and S_l^+ is the
    pseudo-inverse of the covariance about these that all classes share.
    """

    family = "posthoc"
    needs = frozenset({Need.LAYERS})
    original = "MultiMahalanobis"
    info = Info(
        name="multi-mahalanobis",
        title="Multi-Mahalanobis",
        summary="Large Mahalanobis distances to the nearest class, summed over layers",
        paper=Paper(
            title="A Simple Unified Framework for Detecting Out-of-Distribution Samples and "
            "Adversarial Attacks",
            authors="Lee et al.",
            venue="NeurIPS",
            year=2018,
            url="https://arxiv.org/abs/1807.03888",
        ),
        deviations=(
            "Layers count alike, where the paper weighs them by a regression on OOD images; inputs "
            "are not perturbed.",
        ),
    )

    def reduce(self, layers: Layers) -> Tensor:
        """Return the means of all layers over places or tokens: (n, r) float32."""
        import torch

        return torch.cat([by_channel(each).mean(dim=2) for each in layers.outputs.values()], dim=1)

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn means and covariances of every layer, batch by batch."""
        widths = channels(context.layers)

        def fitted(number: int) -> Gaussians:
            values = Values(train, lambda batch: batch.reduced.split(widths, dim=1)[number])
            return moments_of(values, train.num_classes).of_classes()

        self.gaussians = [fitted(number) for number in range(len(widths))]
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return half the squared distances to the nearest class, summed: (n,) float64."""
        import torch

        means = batch.reduced.split([len(each.origin) for each in self.gaussians], dim=1)
        distances = [
            gaussians.distances(each).amin(dim=1) / 2
            for gaussians, each in zip(self.gaussians, means, strict=True)
        ]
        return torch.stack(distances).sum(dim=0)

    def state(self) -> State:
        """Return "origin-l", "whitening-l" and "means-l" of layers l, as `Gaussians` has them."""
        return {
            f"{name}-{number}": value
            for number, gaussians in enumerate(self.gaussians)
            for name, value in vars(gaussians).items()
        }

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        tensors: dict[str, Any] = dict(state)
        self.gaussians = [
            Gaussians(*(tensors[f"{name}-{number}"].to(context.device) for name in PARTS))
            for number in range(len(state) // len(PARTS))
        ]
        return self
