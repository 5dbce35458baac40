"""Score by how rarely neurons were as active on training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Context, Info, Paper, Stream
from oodbench_posthoc.checks import check_count, check_positive
from oodbench_posthoc.layers import LayersAdapter, Loader

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench.contracts.detector import State


class NeuronCoverage(LayersAdapter):
    """Score by how rarely neurons were in the same state on training images (NAC-UE).

    s(x) = -sum_l mean_i min(N_i(b_i) / o, 1), where the state of neuron i of layer l is the sigmoid
    of a times the mean of z_i dKL / dz_i, with its map z_i and the divergence KL of the softmax
    from the uniform distribution; b_i is the bin that the state falls into, and N_i counts the
    training images in it.

    Args:
        bins: number of bins of a neuron.
        steepness: a > 0.
        full: o, the number of training images from which on a bin counts as covered.

    Raises:
        InvalidParameter: if a count is less than 1 or the steepness not greater than 0.
    """

    original = "NACUE"
    renamed: ClassVar = {"m_bins": "bins", "alpha": "steepness", "o_star": "full"}
    info = Info(
        name="nac-ue",
        title="NAC-UE",
        summary="Neurons in states that were rare on training images",
        paper=Paper(
            title="Neuron Activation Coverage: Rethinking Out-of-distribution Detection and "
            "Generalization",
            authors="Liu et al.",
            venue="ICLR",
            year=2024,
            url="https://arxiv.org/abs/2306.02879",
        ),
        deviations=("One layer at each size of the maps, all with the same parameters, untuned.",),
    )
    space: ClassVar = {
        "bins": (50, 500),
        "steepness": (1.0, 10.0, 100.0, 1000.0),
        "full": (5, 50, 500),
    }

    def __init__(self, *, bins: int = 50, steepness: float = 100.0, full: int = 50) -> None:
        check_count("bins", bins)
        check_positive("steepness", steepness)
        check_count("full", full)
        self.bins = bins
        self.steepness = steepness
        self.full = full

    def construct(self, context: Context | None = None) -> Any:
        """Return a new detector of pytorch-ood, on the layers of the classifier."""
        original = super().construct(context)
        original.model = self.layers.classifier
        return original

    def arguments(self, names: Any, context: Context | None) -> dict[str, Any]:
        """Return the arguments of pytorch-ood's constructor, the layers among them."""
        return {**super().arguments(names, context), "layers": self.layers.modules}

    def fit(self, train: Stream, context: Context) -> Self:
        """Count how often neurons are in which state."""
        self.fitted_ = self.construct(context)
        self.fitted_.fit(Loader(train, _open))
        return self

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score images (n, c, h, w)."""
        scores: Tensor = original.predict(_open(values))
        return scores

    def state(self) -> State:
        """Return the "counts-l" (c, bins) int64 of layers l."""
        return {f"counts-{n}": each.counts for n, each in enumerate(self.fitted_._stats)}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        from pytorch_ood.detector.nac import _LayerStats

        self.fitted_ = self.construct(context)
        for number in range(len(self.layers)):
            counts: Any = state[f"counts-{number}"]
            self.fitted_._stats.append(_LayerStats(self.bins, self.full, counts))
        self.fitted_._fitted = True
        return self


def _open(images: Tensor) -> Tensor:
    """Return images of which gradients can be taken, since the classifier is frozen."""
    return images.detach().clone().requires_grad_()
