"""Detectors to tune, of which it is known what is best; a plugin module."""

from __future__ import annotations

from oodbench.contracts import Detector, Info, Need, hookimpl


class Signed(Detector):
    """Scores by the contrast, times a factor: means of two images have less than either."""

    info = Info(name="signed", summary="For tests.")
    needs = frozenset({Need.INPUTS})
    space = {"sign": (-1.0, -2.0, 0.0), "unused": (1, 2)}  # noqa: RUF012

    def __init__(self, *, sign: float = 1.0, unused: int = 1) -> None:
        self.sign = sign
        self.unused = unused

    def score(self, batch):
        if self.sign == 0.0:
            raise ZeroDivisionError("no sign")
        return self.sign * batch.inputs.double().std((1, 2, 3))


class Nearest(Detector):
    """Scores by the distance to the nearest training image, itself if it was fitted on it."""

    info = Info(name="nearest", summary="For tests.")
    needs = frozenset({Need.FEATURES})
    space = {"power": (1.0, 2.0)}  # noqa: RUF012

    def __init__(self, *, power: float = 1.0) -> None:
        self.power = power

    def fit(self, train, context):
        import torch

        self.features_ = torch.cat([batch.features for batch in train])
        return self

    def score(self, batch):
        import torch

        return torch.cdist(batch.features, self.features_).amin(1).double() ** self.power


class Validated(Nearest):
    """Is fitted on validation images, which it would be tuned on."""

    info = Info(name="validated", summary="For tests.")
    fit_needs = frozenset({Need.FEATURES, Need.VALIDATION})

    def fit(self, train, context):
        return super().fit(context.validation, context)


@hookimpl
def oodbench_detectors():
    return [Signed, Nearest, Validated]
