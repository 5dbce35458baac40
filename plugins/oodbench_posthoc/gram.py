"""Gram: Gram matrices outside the range of the predicted class."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    Layers,
    Need,
    Paper,
    Stream,
    by_channel,
    channels,
)
from oodbench_posthoc.checks import check_count

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_BOUND = 1e-6
SMALLEST_MEAN = 1e-7
"""What the authors' code adds to bounds, and to deviations to expect, to divide by them."""

CACHE_BYTES = 2**19
"""Maps that a processor raises to powers at a time: ten times as fast as a whole batch."""


class GramMatrices(Detector):
    """Score by how far correlations of maps are outside the range of the predicted class.

    s(x) = sum_l d_l(x) / E[d_l]. With the maps F of layer l, channels by places, and powers p, the
    sums g of the rows of (F^p F^p')^(1/p) have a range from m to M among the training images that
    are predicted to be of the same class as x; d_l(x) sums max(m - g, 0) / |m| and
    max(g - M, 0) / |M| over rows and powers, and is divided by the largest softmax output of x.
    E[d_l] is its mean over validation images (section 3 of the paper, and the authors' code). Of a
    transformer, tokens are places.

    Of each image, a number for each channel and power is kept: 5 to 40 kB.

    Args:
        powers: p is 1 to this.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    family = "posthoc"
    original = "Gram"
    needs = frozenset({Need.LAYERS, Need.LOGITS})
    fit_needs = frozenset({Need.LAYERS, Need.LOGITS, Need.VALIDATION})
    reduced_by = frozenset({"powers"})
    info = Info(
        name="gram",
        title="Gram",
        summary="Gram matrices of maps outside their range for the predicted class",
        paper=Paper(
            title="Detecting Out-of-Distribution Examples with Gram Matrices",
            authors="Sastry and Oore",
            venue="ICML",
            year=2020,
            url="https://arxiv.org/abs/1912.12510",
        ),
        deviations=(
            "Reads the last layer at each size of the maps; the paper all convolutions and "
            "activations.",
            "The deviations to expect are those of validation images; the authors' are those of a "
            "tenth of the test images.",
        ),
    )
    space: ClassVar = {"powers": (1, 5, 10)}

    def __init__(self, *, powers: int = 10) -> None:
        check_count("powers", powers)
        self.powers = powers

    def reduce(self, layers: Layers) -> Tensor:
        """Return the sums g of all layers: (n, r) float32."""
        import torch

        sums = [row_sums(by_channel(each), self.powers) for each in layers.outputs.values()]
        return torch.cat(sums, dim=1)

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the ranges of each predicted class, and the deviations to expect.

        The range of a class that no training image is predicted to be of is that of all classes.

        Raises:
            PluginError: if there are no validation images.
        """
        import torch

        widths = [self.powers * width for width in channels(context.layers)]
        self.widths_ = torch.tensor(widths, device=context.device)
        self.low_ = torch.full((train.num_classes, sum(widths)), torch.inf, device=context.device)
        self.high_ = -self.low_
        for batch in train:
            values = batch.reduced
            predicted = batch.logits.argmax(dim=1)[:, None].expand_as(values)
            self.low_.scatter_reduce_(0, predicted, values, "amin")
            self.high_.scatter_reduce_(0, predicted, values, "amax")
        unseen = self.low_.isinf().any(dim=1)
        self.low_[unseen] = self.low_.amin(dim=0)
        self.high_[unseen] = self.high_.amax(dim=0)
        found = torch.cat([self._deviations(batch) for batch in context.validation])
        self.expected_ = found.mean(dim=0) + SMALLEST_MEAN
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the deviations of all layers, each by what is to be expected: (n,) float64."""
        scores: Tensor = (self._deviations(batch) / self.expected_).sum(dim=1)
        return scores

    def _deviations(self, batch: Batch) -> Tensor:
        """Return how far an image is outside of the ranges in each layer: (n, l) float64."""
        import torch

        values, predicted = batch.reduced.double(), batch.logits.argmax(dim=1)
        low, high = self.low_.double()[predicted], self.high_.double()[predicted]
        below = (low - values).clamp(min=0) / (low + SMALLEST_BOUND).abs()
        above = (values - high).clamp(min=0) / (high + SMALLEST_BOUND).abs()
        parts = (below + above).split(self.widths_.tolist(), dim=1)
        confidence = batch.logits.double().softmax(dim=1).amax(dim=1)
        return torch.stack([part.sum(dim=1) for part in parts], dim=1) / confidence[:, None]


def row_sums(maps: Tensor, powers: int) -> Tensor:
    """Return the sums of the rows of Gram matrices, without making the matrices.

    Args:
        maps: F, (n, c, places).
        powers: the largest power p.

    Returns:
        The p-th root of the size of each sum of a row of F^p F^p', with its sign, for p from 1:
        (n, powers c), power by power.
    """
    import torch

    largest = maps.abs().amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    count = len(maps)
    if maps.device.type == "cpu":
        count = max(CACHE_BYTES // (8 * maps[0].numel()), 1)
    # In 64 bits, since powers of small values are denormal in 32, which processors take long for.
    parts = zip(maps.split(count), largest.split(count), strict=True)
    sums = torch.cat([_sums_of_powers(part.double() / most, powers) for part, most in parts])
    return sums.to(maps.dtype) * largest[:, :, 0].square()


def _sums_of_powers(maps: Tensor, powers: int) -> Tensor:
    import torch

    raised, found = maps.clone(), []
    for power in range(1, powers + 1):
        if power > 1:
            raised *= maps
        sums = torch.bmm(raised, raised.sum(dim=1).unsqueeze(2)).squeeze(2)
        found.append(sums.sign() * sums.abs() ** (1 / power))
    return torch.cat(found, dim=1)
