"""The margin between the two largest probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Detector, Info, Need, Paper
from oodbench_posthoc.probabilities import sorted_probabilities

if TYPE_CHECKING:
    from torch import Tensor


class Margin(Detector):
    """Score by how close the two most probable classes are.

    s(x) = 1 - (p_1 - p_2), in [0, 1], where p_1 and p_2 are the two largest probabilities of the
    softmax.
    """

    family = "posthoc"
    needs = frozenset({Need.LOGITS})
    info = Info(
        name="margin",
        title="Margin",
        summary="Small difference between the two largest probabilities",
        paper=Paper(
            title="Active Hidden Markov Models for Information Extraction",
            authors="Scheffer et al.",
            venue="IDA",
            year=2001,
            url="https://doi.org/10.1007/3-540-44816-0_31",
        ),
        deviations=("The paper chooses what to label by it; here it is a score of images.",),
    )

    def score(self, batch: Batch) -> Tensor:
        """Return 1 less the margin: (n,) float64."""
        _, others = sorted_probabilities(batch.logits)
        scores: Tensor = others.sum(dim=1) + others[:, 0]
        return scores
