"""The free energy of the logits."""

from __future__ import annotations

from typing import ClassVar

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import LogitsAdapter
from oodbench_posthoc.checks import check_positive


class Energy(LogitsAdapter):
    """Score by the free energy that the logits give an image.

    s(x) = -T log sum_y exp(f_y(x) / T), where f(x) are the logits and T is the temperature
    (the paper's section 2, equation 4). In-distribution images have low energy.

    Args:
        temperature: T > 0; the paper settles on 1.

    Raises:
        InvalidParameter: if the temperature is not a number greater than 0.
    """

    original = "EnergyBased"
    renamed: ClassVar = {"t": "temperature"}
    info = Info(
        name="energy",
        title="Energy",
        summary="High free energy of the logits",
        paper=Paper(
            title="Energy-based Out-of-distribution Detection",
            authors="Liu et al.",
            venue="NeurIPS",
            year=2020,
            url="https://arxiv.org/abs/2010.03759",
        ),
    )
    space: ClassVar = {"temperature": (0.5, 1.0, 2.0, 5.0, 10.0, 100.0)}

    def __init__(self, *, temperature: float = 1.0) -> None:
        check_positive("temperature", temperature)
        self.temperature = temperature
