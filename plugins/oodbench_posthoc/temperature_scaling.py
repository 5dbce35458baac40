"""Temperature scaling: the softmax at the temperature that calibrates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Context, Info, Paper, State
from oodbench_posthoc.adapter import FittedLogitsAdapter

if TYPE_CHECKING:
    from torch import Tensor


class TemperatureScaling(FittedLogitsAdapter):
    """Score by how uncertain the classifier is once its confidence is calibrated.

    s(x) = -max_y softmax(f(x) / T)_y, where f(x) are the logits, and T minimises the cross-entropy
    of softmax(f(x) / T).
    """

    original = "TemperatureScaling"
    info = Info(
        name="temperature-scaling",
        title="Temperature scaling",
        summary="Low maximum softmax probability at a learned temperature",
        paper=Paper(
            title="On Calibration of Modern Neural Networks",
            authors="Guo et al.",
            venue="ICML",
            year=2017,
            url="https://arxiv.org/abs/1706.04599",
        ),
        deviations=(
            "The temperature is learned on training images, where the classifier is overconfident; "
            "the paper takes validation images.",
            "Fifty small steps of L-BFGS, which stop short of the optimum (pytorch-ood).",
        ),
    )

    def learn(self, original: Any, values: Tensor, labels: Tensor) -> None:
        """Fit on logits (n, k) and labels (n,)."""
        import torch

        original.to(values.device)
        with torch.enable_grad():
            original.fit_logits(values, labels)

    def state(self) -> State:
        """Return the "temperature"."""
        return {"temperature": self.fitted_.t.item()}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        import torch

        self.fitted_ = self.construct()
        self.fitted_.t = torch.nn.Parameter(torch.tensor(state["temperature"]))
        self.fitted_._is_fitted = True
        self.fitted_.to(context.device)
        return self
