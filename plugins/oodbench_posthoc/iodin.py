"""iODIN: the softmax of an image of which one number is moved towards its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_positive

if TYPE_CHECKING:
    from torch import Tensor


class InfluentialOdin(Detector):
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

    family = "posthoc"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})
    info = Info(
        name="iodin",
        title="iODIN",
        summary="Low softmax, at a high temperature, after one number of the image is moved",
        paper=Paper(
            title="Going Beyond Conventional OOD Detection",
            authors="Regmi",
            venue="arXiv",
            year=2024,
            url="https://arxiv.org/abs/2411.10794",
        ),
        deviations=(
            "The step is a parameter, in units of pixels in [0, 1], and not tuned on OOD images.",
        ),
    )
    space: ClassVar = {
        "temperature": (1.0, 10.0, 100.0, 1000.0),
        "step": (0.0007, 0.0014, 0.0028, 0.0056),
    }

    def __init__(self, *, temperature: float = 1000.0, step: float = 0.0014) -> None:
        check_positive("temperature", temperature)
        check_positive("step", step)
        self.temperature = temperature
        self.step = step

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the classifier."""
        return self.restore({}, context)

    def restore(self, state: State, context: Context) -> Self:
        """Take the classifier."""
        self.classifier: Any = context.classifier
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative softmax of the moved images: (n,) float64."""
        import torch

        with torch.enable_grad():
            images = batch.inputs.detach().clone().requires_grad_()
            (gradients,) = torch.autograd.grad(self._log_softmax(images).sum(), images)
        flat = gradients.flatten(1)
        largest = flat.abs().argmax(dim=1, keepdim=True)
        steps = torch.zeros_like(flat).scatter_(
            1, largest, self.step * flat.gather(1, largest).sign()
        )
        return -self._log_softmax(images.detach() + steps.view_as(gradients)).exp()

    def _log_softmax(self, images: Tensor) -> Tensor:
        """Return the logarithm of the largest softmax probability: (n,) float64."""
        logits: Tensor = self.classifier(images).double() / self.temperature
        return logits.log_softmax(dim=1).amax(dim=1)
