"""Deep SVDD: the distance to a centre near which a network maps ID images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    Need,
    Paper,
    PluginError,
    State,
    Stream,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


REPORT_EVERY = 20
"""Steps between two reports of the loss; reading it makes a GPU wait."""

AWAY_FROM_ZERO = 0.1
"""Smallest size of the centre's coordinates: weights that vanish could reach those near 0."""


class DeepSvdd(Detector):
    """Score by the distance to a centre near which a separate network learned to map ID images.

    One-class deep SVDD (equation 4 of the paper): with a network g and the centre m, the mean of
    its outputs before training,

        minimise mean |g(x) - m|^2,    score(x) = |g(x) - m|^2,

    by the loss of pytorch-ood. It sees images alone, and neither classifier nor classes.

    Args:
        width: filters of the first of three convolutions; each of the others has twice as many.
        dimensions: of the space that images are mapped to.
        epochs: passes over the training images.
        batch_size: images of a step.
        learning_rate: of Adam; a tenth of it in the last third of the steps.
        weight_decay: of Adam.
    """

    info = Info(
        name="deep-svdd",
        title="Deep SVDD",
        summary="Distance to the centre near which a separate network learned to map ID images.",
        paper=Paper(
            title="Deep One-Class Classification",
            authors="Ruff et al.",
            venue="ICML",
            year=2018,
            url="https://proceedings.mlr.press/v80/ruff18a.html",
        ),
        deviations=(
            "All ID classes together are the normal class; the paper takes one.",
            "The network starts from random weights, where the paper's is pretrained as an "
            "autoencoder; one architecture for all images; trained for fewer epochs.",
            "Images are scaled to [-1, 1], where the paper normalises the contrast of each.",
        ),
    )
    needs = frozenset({Need.INPUTS})
    stochastic = True

    def __init__(
        self,
        *,
        width: int = 32,
        dimensions: int = 128,
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-6,
    ) -> None:
        if min(width, dimensions, epochs, batch_size) < 1:
            raise ValueError("width, dimensions, epochs and batch_size must be at least 1")
        if learning_rate <= 0 or weight_decay < 0:
            raise ValueError("learning_rate must be above 0, weight_decay at least 0")
        self.width = width
        self.dimensions = dimensions
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def fit(self, train: Stream, context: Context) -> Self:
        """Find the centre and train the network."""
        from pytorch_ood.loss import DeepSVDDLoss

        self.network_ = self._build(context)
        self.centre_ = self._find_centre(train)
        objective = DeepSVDDLoss(self.dimensions, center=self.centre_).to(context.device)
        self._train(train, objective, context)
        self.network_.eval()
        return self

    def _build(self, context: Context) -> nn.Module:
        from oodbench_training.networks import Encoder

        return Encoder(context.shape, self.width, self.dimensions).to(context.device)

    def _find_centre(self, train: Stream) -> Tensor:
        """Return the mean output, none of its coordinates near zero: (dimensions,)."""
        import torch

        total = torch.zeros(())
        with torch.no_grad():
            # in training mode, as the first step of training will see the images
            for batch in train:
                total = total.to(batch.inputs.device) + self.network_(batch.inputs).sum(dim=0)
        centre = total / len(train)
        sign = torch.where(centre < 0, -1.0, 1.0)
        return sign * centre.abs().clamp(min=AWAY_FROM_ZERO)

    def _train(self, train: Stream, objective: nn.Module, context: Context) -> None:
        import torch

        batch_size = min(self.batch_size, len(train))
        total = self.epochs * (len(train) // batch_size)
        adam = torch.optim.Adam(
            self.network_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [2 * total // 3], gamma=0.1)
        generator = context.generator()
        done = 0
        for _ in range(self.epochs):
            for batch in train.shuffled(batch_size, generator):
                loss: Any = objective(self.network_(batch.inputs))
                adam.zero_grad()
                loss.backward()
                adam.step()
                schedule.step()
                done += 1
                if done % REPORT_EVERY == 0 or done == total:
                    _report(done, total, float(loss.detach()), context)

    def score(self, batch: Batch) -> Tensor:
        """Return the squared distance to the centre: (n,) float32."""
        points: Tensor = self.network_(batch.inputs)
        return (points - self.centre_).square().sum(dim=1)

    def state(self) -> State:
        """Return the weights of the network, and the centre."""
        weights = {f"network.{name}": value for name, value in self.network_.state_dict().items()}
        return {**weights, "centre": self.centre_}

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the network and load its weights."""
        import torch

        self.network_ = self._build(context)
        prefix = "network."
        self.network_.load_state_dict(
            {name[len(prefix) :]: each for name, each in state.items() if name.startswith(prefix)}
        )
        self.network_.eval()
        centre = state["centre"]
        assert isinstance(centre, torch.Tensor)
        self.centre_ = centre.to(context.device)
        return self


def _report(done: int, total: int, loss: float, context: Context) -> None:
    if not math.isfinite(loss):
        raise PluginError(f"the training diverged by step {done}: the loss is not finite")
    context.progress(done, total, svdd_loss=loss)
