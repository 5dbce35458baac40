"""NAC: how rarely neurons were in the same state on training images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from oodbench.contracts import (
    FEATURES,
    Batch,
    Context,
    Detector,
    Info,
    InvalidParameter,
    Layers,
    Need,
    Paper,
    State,
    Stream,
    by_channel,
    channels,
)
from oodbench_posthoc.checks import check_count, check_positive

if TYPE_CHECKING:
    from torch import Tensor

BASE = 1000.0
"""Base of the logarithm that spaces the edges of bins."""

FEWEST_BINS = 4
"""Bins below which there would be no edge but 0, 1/2 and 1."""


MOST_SATURATED = 0.5
"""Share of saturated states from which on a remark says so."""


class NeuronCoverage(Detector):
    """Score by how rarely neurons were in the same state on training images (NAC-UE).

    s(x) = -mean_l mean_i min(N_li(b_li) / o_l, 1). The state of neuron i of layer l is
    sigmoid(a_l (sum z_i) (sum dKL/dz_i)), summed over places, or tokens, where z_i is what the
    neuron puts out and KL the divergence of the softmax from the uniform distribution; b_li is the
    bin that the state falls into, and N_li counts the training images in it. Of m bins, the edges
    are log_1000 of equal steps from 1 to sqrt(1000), and mirrored at 1/2, where they are finest.

    The layers are the penultimate features, and before them all layers but the last, whose mean
    the features are. Each parameter is a list of one number for each of these, from the features
    to the earliest layer; further layers take the last number. The defaults are those of the
    authors for CIFAR-10 with ResNet-18, by their configuration in OpenOOD.

    Args:
        bins: m.
        steepness: a > 0.
        full: o, the number of training images from which on a bin counts as covered.
        images: training images to count, as many of each class.

    Raises:
        InvalidParameter: if these are no such numbers, or there are fewer than 4 bins.
    """

    family = "posthoc"
    original = "NACUE"
    needs = frozenset({Need.LAYERS, Need.LAYER_GRADIENTS})
    reduced_by = frozenset()
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
            "The same parameters for all networks and data sets, those of the authors for CIFAR-10 "
            "with ResNet-18; the authors choose them for each by OOD validation images. Where "
            "features are larger than there, states saturate and the score may fall to chance.",
        ),
    )
    space: ClassVar = {
        "bins": ("50,500,50,500", "50", "500"),
        "steepness": ("100,1000,0.001,0.001", "1", "100", "10000"),
        "full": ("50,100,5,100", "5", "50"),
    }

    def __init__(
        self,
        *,
        bins: str = "50,500,50,500",
        steepness: str = "100,1000,0.001,0.001",
        full: str = "50,100,5,100",
        images: int = 1000,
    ) -> None:
        fewest = min(_numbers("bins", bins))
        if fewest < FEWEST_BINS:
            raise InvalidParameter(f"bins must be at least {FEWEST_BINS}, not {fewest:g}")
        for name, text in (("steepness", steepness), ("full", full)):
            check_positive(name, min(_numbers(name, text)))
        check_count("images", images)
        self.bins = bins
        self.steepness = steepness
        self.full = full
        self.images = images

    def fit_images(self) -> int:
        """Return the number of training images that are counted."""
        return self.images

    def differentiated(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return the divergence of the softmax from the uniform distribution, up to a constant."""
        return -logits.log_softmax(dim=1).mean(dim=1)

    def reduce(self, layers: Layers) -> Tensor:
        """Return the products of the sums, from the features to the earliest layer: (n, r)."""
        import torch

        products = [layers.features * layers.gradients[FEATURES]]
        for name in list(layers.outputs)[-2::-1]:
            sums = [by_channel(of[name]).sum(dim=2) for of in (layers.outputs, layers.gradients)]
            products.append(sums[0] * sums[1])
        return torch.cat(products, dim=1)

    def fit(self, train: Stream, context: Context) -> Self:
        """Count how often neurons are in which state."""
        import torch

        earlier = channels(context.layers)[-2::-1]
        products = torch.cat([batch.reduced for batch in train])
        widths = [products.shape[1] - sum(earlier), *earlier]
        self.names = ["features", *list(context.layers)[-2::-1]]
        self.counts = [
            settings.counts(each)
            for settings, each in zip(
                self._settings(len(widths)), products.split(widths, dim=1), strict=True
            )
        ]
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative coverage, averaged over neurons and layers: (n,) float64."""
        import torch

        products = batch.reduced.split([len(counts) for counts in self.counts], dim=1)
        covered = [
            settings.covered(each, counts)
            for settings, each, counts in zip(
                self._settings(len(products)), products, self.counts, strict=True
            )
        ]
        return -torch.stack(covered).mean(dim=0)

    def _settings(self, count: int) -> list[_Settings]:
        """Return the settings of each of some layers."""
        given = [_numbers(name, getattr(self, name)) for name in ("bins", "steepness", "full")]
        return [
            _Settings(*(numbers[min(layer, len(numbers) - 1)] for numbers in given))
            for layer in range(count)
        ]

    def remarks(self) -> list[str]:
        """Return of which layers states are saturated, so that only signs are told apart."""
        shares = zip(self.names, map(saturated, self.counts), strict=True)
        return [
            f"Of the neurons' states in {name}, {100 * share:.0f} % are saturated and tell signs "
            "alone: features are larger than the steepness is made for."
            for name, share in shares
            if share > MOST_SATURATED
        ]

    def state(self) -> State:
        """Return the "counts-l" (c, bins) int64 of layers l."""
        return {f"counts-{number}": counts for number, counts in enumerate(self.counts)}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        counts: list[Any] = [state[f"counts-{number}"] for number in range(len(state))]
        self.counts = [each.to(context.device) for each in counts]
        return self


class _Settings(NamedTuple):
    """How states of the neurons of one layer are told apart; see `NeuronCoverage`."""

    bins: float
    steepness: float
    full: float

    def states(self, products: Tensor) -> Tensor:
        """Return the bins that neurons are in, by their products (n, c): (n, c) int64."""
        import torch

        states = (self.steepness * products.double()).sigmoid()
        return torch.bucketize(states, self.edges().to(states.device), right=True)

    def edges(self) -> Tensor:
        """Return the edges between bins, ascending: (b - 1,) float64."""
        import torch

        steps = torch.linspace(1, math.sqrt(BASE), int(self.bins) // 2, dtype=torch.float64)
        lower = steps.log()[1:-1] / math.log(BASE)
        middle = torch.tensor([0.5], dtype=torch.float64)
        return torch.cat([lower, middle, 1 - lower.flip(0)])

    def counts(self, products: Tensor) -> Tensor:
        """Return how often each neuron is in each bin: (c, b) int64."""
        import torch

        bins, neurons = len(self.edges()) + 1, products.shape[1]
        first = torch.arange(neurons, device=products.device) * bins
        places = (self.states(products) + first).flatten()
        return places.bincount(minlength=neurons * bins).view(neurons, bins)

    def covered(self, products: Tensor, counts: Tensor) -> Tensor:
        """Return how far the states of an image are covered, averaged over neurons: (n,)."""
        shares = (counts.double() / self.full).clamp(max=1)
        return shares.gather(1, self.states(products).T).mean(dim=0)


def saturated(counts: Tensor) -> float:
    """Return the share of states in the first and last bins, but for those next to 1/2.

    Those hold the neurons that put out 0.

    Args:
        counts: (c, b).
    """
    bins = counts.sum(dim=0)
    middle = len(bins) // 2
    away = int(bins.sum() - bins[middle - 1 : middle + 1].sum())
    return int(bins[0] + bins[-1]) / max(away, 1)


def _numbers(name: str, text: str) -> list[float]:
    """Return numbers that a text separates by commas.

    Raises:
        InvalidParameter: if they are none.
    """
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise InvalidParameter(
            f"{name} must be numbers separated by commas, not '{text}'"
        ) from error
