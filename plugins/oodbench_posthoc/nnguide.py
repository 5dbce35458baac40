"""NNGuide: the energy, guided by the nearest training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Info, Need, Paper, Stream
from oodbench_posthoc.adapter import FeaturesAdapter
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.nearest import most_alike
from oodbench_posthoc.streamed import gather_rows

if TYPE_CHECKING:
    from torch import Tensor


class NeighbourGuidance(FeaturesAdapter):
    """Score by the energy times the similarity to the nearest training images (NNGuide).

    s(x) = -E(x) mean of E(x_i) cos(z, z_i) over the k training images x_i for which this product is
    largest, where z are the penultimate features and E(x) = log sum_y exp(f_y(x)) with the
    logits f(x).

    Args:
        neighbours: k; the default is the authors' for ImageNet, OpenOOD takes 100.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    original = "NNGuide"
    renamed: ClassVar = {"k": "neighbours"}
    info = Info(
        name="nnguide",
        title="NNGuide",
        summary="High energy of the logits, weighted by the similarity to training images",
        paper=Paper(
            title="Nearest Neighbor Guidance for Out-of-Distribution Detection",
            authors="Park et al.",
            venue="ICCV",
            year=2023,
            url="https://arxiv.org/abs/2309.14888",
        ),
        deviations=(
            "Compares with all training images; the authors draw 1 % of those of ImageNet.",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"neighbours": (1, 5, 10, 50, 100)}

    def __init__(self, *, neighbours: int = 10) -> None:
        check_count("neighbours", neighbours)
        self.neighbours = neighbours

    def least_images(self) -> int:
        """Return the number of neighbours that are looked for."""
        return self.neighbours

    def fit(self, train: Stream, context: Context) -> Self:
        """Keep the features of all training images, as long as the energy of each."""
        import torch
        from torch.nn.functional import normalize

        head: Any = context.classifier.head

        def guides(batch: Batch) -> Tensor:
            energies: Tensor = head(batch.features).logsumexp(dim=1, keepdim=True)
            return normalize(batch.features, dim=1) * energies

        with torch.no_grad():
            bank = gather_rows(train, guides, torch.arange(len(train)))
        return self.restore({"_scaled_features": bank}, context)

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score features (n, d); pytorch-ood sorts more of the products than have to be."""
        from torch.nn.functional import normalize

        energies = original.head(values).logsumexp(dim=1)
        products, _ = most_alike(
            normalize(values, dim=1), original._scaled_features, self.neighbours
        )
        scores: Tensor = -products.mean(dim=1) * energies
        return scores
