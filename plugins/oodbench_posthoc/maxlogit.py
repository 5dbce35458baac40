"""The largest logit."""

from __future__ import annotations

from oodbench.contracts import Info, Paper
from oodbench_posthoc.adapter import LogitsAdapter


class MaximumLogit(LogitsAdapter):
    """Score by how small the largest logit is.

    s(x) = -max_y f_y(x), where f(x) are the logits (section 3 of the paper). Unlike the softmax
    it does not spread confidence over similar classes.
    """

    original = "MaxLogit"
    info = Info(
        name="maxlogit",
        title="MaxLogit",
        summary="Low maximum logit",
        paper=Paper(
            title="Scaling Out-of-Distribution Detection for Real-World Settings",
            authors="Hendrycks et al.",
            venue="ICML",
            year=2022,
            url="https://arxiv.org/abs/1911.11132",
        ),
    )
