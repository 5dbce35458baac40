"""Turn detectors of pytorch-ood into detectors of oodbench."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Detector, InvalidParameter, Need

if TYPE_CHECKING:
    from pytorch_ood.api import LogitsDetector
    from torch import Tensor


class LogitsAdapter(Detector):
    """A detector of pytorch-ood that scores logits and learns nothing.

    The logits arrive in float32 and are raised to float64 before they are scored. A confident
    classifier's softmax rounds to exactly 1 in float32 once the largest logit leads by about 17,
    which ties the most confident images with each other; in float64 that takes a lead of about
    37. Apart from such ties the scores are pytorch-ood's own, to float32 rounding.
    """

    needs = frozenset({Need.LOGITS})

    @abstractmethod
    def original(self) -> LogitsDetector:
        """Return the detector of pytorch-ood, with the parameters of this one and no model."""

    def score(self, batch: Batch) -> Tensor:
        """Return pytorch-ood's outlier score of the logits: (n,) float64."""
        scores: Tensor = self.original().predict_logits(batch.logits.double())
        return scores


def check_temperature(temperature: float) -> None:
    """Refuse a temperature by which logits cannot be divided.

    Raises:
        InvalidParameter: if it is not a finite number greater than 0.
    """
    if not 0 < temperature < float("inf"):
        raise InvalidParameter(f"temperature must be a number greater than 0, not {temperature}")
