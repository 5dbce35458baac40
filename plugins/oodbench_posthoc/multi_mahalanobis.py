"""The Mahalanobis distance to the nearest class, in several layers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_posthoc.gaussians import Gaussians, moments_of
from oodbench_posthoc.layers import Layers

if TYPE_CHECKING:
    from torch import Tensor


PARTS = tuple(each.name for each in fields(Gaussians))


class LayeredMahalanobis(Detector):
    """Score by how far an image is from every class in each of several layers.

    s(x) = sum_l min_y (z_l - m_ly)' S_l^+ (z_l - m_ly) / 2, where z_l are the means of the maps
    that layer l puts out, m_ly are their means over class y,
    and S_l^+ is the pseudo-inverse of the covariance about these that all classes share.
    """

    family = "posthoc"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
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

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn means and covariances of every layer.

        Raises:
            PluginError: if a class has no training images.
        """
        import torch

        self.layers = Layers(context.classifier, context)
        parts = [(self._means(batch.inputs), batch.labels) for batch in train]
        labels = torch.cat([each for _, each in parts])
        means = [torch.cat(each) for each in zip(*(part for part, _ in parts), strict=True)]
        self.gaussians = [
            moments_of([(each, labels)], train.num_classes).of_classes() for each in means
        ]
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return half the squared distances to the nearest class, summed: (n,) float64."""
        import torch

        distances = [
            gaussians.distances(means).amin(dim=1) / 2
            for gaussians, means in zip(self.gaussians, self._means(batch.inputs), strict=True)
        ]
        return torch.stack(distances).sum(dim=0)

    def _means(self, images: Tensor) -> list[Tensor]:
        """Return the means of the maps of each layer: (n, c)."""
        import torch

        with torch.no_grad():
            return [maps.mean(dim=(2, 3)) for maps in self.layers(images)[0]]

    def state(self) -> State:
        """Return "origin-l", "whitening-l" and "means-l" of layers l, as `Gaussians` has them."""
        return {
            f"{name}-{number}": value
            for number, gaussians in enumerate(self.gaussians)
            for name, value in vars(gaussians).items()
        }

    def restore(self, state: State, context: Context) -> Self:
        """Find the layers of the classifier, and take back what `state` returned."""
        self.layers = Layers(context.classifier, context)
        tensors: dict[str, Any] = dict(state)
        self.gaussians = [
            Gaussians(*(tensors[f"{name}-{number}"].to(context.device) for name in PARTS))
            for number in range(len(self.layers))
        ]
        return self
