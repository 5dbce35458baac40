"""DOCTOR: the odds that a prediction drawn by its probabilities is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oodbench.contracts import Batch, Detector, Info, InvalidParameter, Need, Paper
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.probabilities import sorted_probabilities

if TYPE_CHECKING:
    from torch import Tensor

VARIANTS = ("alpha", "beta")


class Doctor(Detector):
    """Score by the odds of an error, estimated from the softmax (DOCTOR).

    alpha: s(x) = (1 - g) / g, g = sum_y p_y^2; beta: s(x) = (1 - max_y p_y) / max_y p_y, where
    p = softmax(f(x) / T) and f(x) are the logits (the paper's discriminators D_alpha and D_beta,
    with inputs that are not perturbed).

    Args:
        variant: ``"alpha"`` or ``"beta"``.
        temperature: T > 0.

    Raises:
        InvalidParameter: if the variant is unknown, or T is not a number greater than 0.
    """

    family = "posthoc"
    needs = frozenset({Need.LOGITS})
    info = Info(
        name="doctor",
        title="DOCTOR",
        summary="High odds of an error, estimated from the softmax",
        paper=Paper(
            title="DOCTOR: A Simple Method for Detecting Misclassification Errors",
            authors="Granese et al.",
            venue="NeurIPS",
            year=2021,
            url="https://arxiv.org/abs/2106.02395",
        ),
        deviations=("Inputs are not perturbed.",),
    )
    space: ClassVar = {"variant": VARIANTS, "temperature": (1.0, 1.5, 2.0, 5.0)}

    def __init__(
        self, *, variant: Literal["alpha", "beta"] = "alpha", temperature: float = 1.0
    ) -> None:
        if variant not in VARIANTS:
            raise InvalidParameter(f"variant must be one of {', '.join(VARIANTS)}, not {variant}")
        check_positive("temperature", temperature)
        self.variant = variant
        self.temperature = temperature

    def score(self, batch: Batch) -> Tensor:
        """Return the odds: (n,) float64."""
        largest, others = sorted_probabilities(batch.logits.double() / self.temperature)
        rest = others.sum(dim=1)
        if self.variant == "beta":
            return rest / largest
        missed = largest * rest + (others * (1 - others)).sum(dim=1)
        found = largest.square() + others.square().sum(dim=1)
        return missed / found
