"""NAC: how rarely neurons were as active on training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_count, check_positive
from oodbench_posthoc.layers import Layers

if TYPE_CHECKING:
    from torch import Tensor


class NeuronCoverage(Detector):
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

    family = "posthoc"
    original = "NACUE"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
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
        deviations=(
            "One layer at each size of the maps, all with the same parameters, untuned.",
            "Bins are finest at 0 and 1 and maps are averaged over places (pytorch-ood), where the "
            "authors' code has bins that are finest around 0.5, and sums.",
        ),
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

    def fit(self, train: Stream, context: Context) -> Self:
        """Count how often neurons are in which state."""
        self.layers = Layers(context.classifier, context)
        totals: list[Tensor] = []
        for batch in train:
            counts = [self._count(states) for states in self._states(batch.inputs)]
            totals = (
                [old + new for old, new in zip(totals, counts, strict=True)] if totals else counts
            )
        self.counts_ = totals
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative coverage, summed over layers: (n,) float32."""
        import torch

        scores = torch.zeros(len(batch), device=batch.labels.device)
        for counts, states in zip(self.counts_, self._states(batch.inputs), strict=True):
            covered = (counts / self.full).clamp(max=1)
            scores -= covered.gather(1, states.T).mean(dim=0)
        return scores

    def _states(self, images: Tensor) -> list[Tensor]:
        """Return the bins that the neurons of each layer are in: (n, c) int64.

        One pass back from the logits serves all layers.
        """
        import torch
        from pytorch_ood.detector.nac import _bin_indices_geometric

        with torch.enable_grad():
            maps, logits = self.layers.opened(images)
            divergence = -(logits.softmax(dim=1) + 1e-12).log().mean(dim=1).sum()
            gradients = torch.autograd.grad(divergence, maps)
        means = (
            (each.detach() * gradient).mean(dim=(2, 3))
            for each, gradient in zip(maps, gradients, strict=True)
        )
        return [
            _bin_indices_geometric((self.steepness * each).sigmoid(), m=self.bins) for each in means
        ]

    def _count(self, states: Tensor) -> Tensor:
        """Return how often each neuron is in each bin, by the bins (n, c): (c, bins) int64."""
        import torch

        neurons = states.shape[1]
        first = torch.arange(neurons, device=states.device) * self.bins
        return (states + first).flatten().bincount(minlength=neurons * self.bins).view(neurons, -1)

    def state(self) -> State:
        """Return the "counts-l" (c, bins) int64 of layers l."""
        return {f"counts-{number}": counts for number, counts in enumerate(self.counts_)}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        self.layers = Layers(context.classifier, context)
        counts: list[Any] = [state[f"counts-{number}"] for number in range(len(self.layers))]
        self.counts_ = [each.to(context.device) for each in counts]
        return self
