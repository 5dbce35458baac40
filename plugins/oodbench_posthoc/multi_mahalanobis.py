"""The Mahalanobis distance to the nearest class, in several layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Context, Info, Paper, State, Stream
from oodbench_posthoc.adapter import check_classes
from oodbench_posthoc.layers import LayersAdapter

if TYPE_CHECKING:
    from torch import Tensor


class LayeredMahalanobis(LayersAdapter):
    """Score by how far an image is from every class in each of several layers.

    s(x) = sum_l min_y (z_l - m_ly)' S_l^-1 (z_l - m_ly) / 2, where z_l are the means of the maps
    that layer l puts out, and m_ly and S_l are their class means and common covariance.
    """

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

    def arguments(self, names: Iterable[str], context: Context | None) -> dict[str, Any]:
        """Return the arguments of pytorch-ood's constructor, which counts the layers."""
        return {"model": self.layers.modules}

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn means and covariances of every layer."""
        import torch

        self.fitted_ = self.construct(context)
        parts = [(self._means(batch.inputs), batch.labels) for batch in train]
        labels = torch.cat([each for _, each in parts])
        check_classes(labels, train.num_classes)
        means = [torch.cat(each) for each in zip(*(part for part, _ in parts), strict=True)]
        self.fitted_.fit_structured(means, labels)
        return self

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score images (n, c, h, w)."""
        scores: Tensor = original.predict_structured(self._means(values))
        return scores

    def _means(self, images: Tensor) -> list[Tensor]:
        """Return the means of the maps of each layer: (n, c)."""
        import torch

        with torch.no_grad():
            return [maps.mean(dim=(2, 3)) for maps in self.layers(images)[0]]

    def state(self) -> State:
        """Return means "mu-l" (k, c) and inverse covariances "precision-l" (c, c) of layers l."""
        return {
            f"{name}-{number}": value
            for name in ("mu", "precision")
            for number, value in enumerate(getattr(self.fitted_, name))
        }

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        self.fitted_ = self.construct(context)
        for name in ("mu", "precision"):
            found: list[Any] = [state[f"{name}-{number}"] for number in range(len(self.layers))]
            setattr(self.fitted_, name, [value.to(context.device) for value in found])
        return self
