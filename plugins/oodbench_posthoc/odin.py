"""ODIN: the softmax of images moved towards their predicted class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import PerturbingAdapter, Unfitted
from oodbench_posthoc.checks import check_positive

if TYPE_CHECKING:
    from torch import Tensor


def _in_double(classifier: Any) -> Any:
    """Return the classifier with logits in float64: at high temperatures, float32 would tie."""

    def logits_of(images: Tensor) -> Tensor:
        logits: Tensor = classifier(images).double()
        return logits

    return logits_of


class Odin(Unfitted, PerturbingAdapter):
    """Score by how uncertain the classifier remains when an image is moved towards its prediction.

    s(x) = -max_y softmax(f(x') / T)_y, with x' = x - e sign(dL / dx), where f(x) are the logits and
    L = -log softmax(f(x) / T)_y for the predicted class y (section 3 of the paper).

    Args:
        temperature: T > 0; the paper settles on 1,000.
        step: e > 0, in units of pixel values in [0, 1].

    Raises:
        InvalidParameter: if one of them is not a number greater than 0.
    """

    original = "ODIN"
    renamed: ClassVar = {"eps": "step"}
    of_classifier: ClassVar = {"model": _in_double}
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
