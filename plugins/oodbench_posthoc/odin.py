"""ODIN: the softmax of images moved towards their predicted class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.perturbed import gradients_in

if TYPE_CHECKING:
    from torch import Tensor


class Odin(Detector):
    """Score by how uncertain the classifier remains when an image is moved towards its prediction.

    s(x) = -max_y softmax(f(x') / T)_y, with x' = x - e sign(dL / dx), where f(x) are the logits and
    L = -log softmax(f(x) / T)_y for the predicted class y (section 3 of the paper).

    Args:
        temperature: T > 0; the paper settles on 1,000.
        step: e > 0, in units of pixel values in [0, 1].

    Raises:
        InvalidParameter: if one of them is not a number greater than 0.
    """

    family = "posthoc"
    original = "ODIN"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})
    info = Info(
        name="odin",
        title="ODIN",
        summary="Low softmax, at a high temperature, of an image moved towards its prediction",
        paper=Paper(
            title="Enhancing The Reliability of Out-of-distribution Image Detection in Neural "
            "Networks",
            authors="Liang et al.",
            venue="ICLR",
            year=2018,
            url="https://arxiv.org/abs/1706.02690",
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
        moved = batch.inputs + self.steps(gradients_in(batch.inputs, self._log_softmax))
        return -self._log_softmax(moved).exp()

    def steps(self, gradients: Tensor) -> Tensor:
        """Return the steps in images where the log-softmax has these gradients: (n, c, h, w)."""
        return self.step * gradients.sign()

    def _log_softmax(self, images: Tensor) -> Tensor:
        """Return the logarithm of the largest softmax probability: (n,) float64.

        In float32, softmaxes at high temperatures would tie.
        """
        logits: Tensor = self.classifier(images).double() / self.temperature
        return logits.log_softmax(dim=1).amax(dim=1)
