"""iODIN: the softmax of an image of which one number is moved towards its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Info, Paper
from oodbench_posthoc.odin import Odin

if TYPE_CHECKING:
    from torch import Tensor


class InfluentialOdin(Odin):
    """Score by the softmax after the most influential number of an image is moved (iODIN).

    s(x) = -max_y softmax(f(x') / T)_y. x' is x but for the number (a channel of a pixel) at which
    the gradient of L = -log max_y softmax(f(x) / T)_y is largest in size: there
    x' = x - e sign(dL / dx). f(x) are the logits. ODIN moves all numbers.

    Args:
        temperature: T > 0.
        step: e > 0, in units of pixel values in [0, 1].

    Raises:
        InvalidParameter: if one of them is not a number greater than 0.
    """

    info = Info(
        name="iodin",
        title="iODIN",
        summary="Low softmax, at a high temperature, after one number of the image is moved",
        paper=Paper(
            title="Image-based Outlier Synthesis With Training Data",
            authors="Regmi",
            venue="arXiv",
            year=2024,
            url="https://arxiv.org/abs/2411.10794",
        ),
        deviations=Odin.info.deviations,
    )

    def steps(self, gradients: Tensor) -> Tensor:
        """Return steps in the most influential number of each image alone: (n, c, h, w)."""
        steps = super().steps(gradients).flatten(1)
        largest = gradients.flatten(1).abs().argmax(dim=1, keepdim=True)
        moved = steps.new_zeros(steps.shape).scatter(1, largest, steps.gather(1, largest))
        return moved.view_as(gradients)
