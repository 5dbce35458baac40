"""Published networks as classifiers: normalisation, features and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_ood.model import WideResNet
from torch import Tensor, nn


class PublishedNetwork(nn.Module):
    """A network that keeps the names of its weights, for images in [0, 1].

    Grey images are repeated to three channels.

    Args:
        network: maps normalised images (n, 3, h, w) to logits (n, k).
        place: name of its last layer, which is linear.
        mean: of each channel, of pixels in [0, 1].
        std: of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, place: str, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.network: Any = network
        self._place = place
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values)[:, None, None]
            self.register_buffer(name, buffer, persistent=False)
        last: Any = network.get_submodule(place)
        head = Head(last.in_features, last.out_features)
        head.load_state_dict(last.state_dict())
        parent, _, name = place.rpartition(".")
        setattr(network.get_submodule(parent), name, head)

    @property
    def head(self) -> Head:
        """The last layer."""
        found = self.network.get_submodule(self._place)
        assert isinstance(found, Head)
        return found

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to features (n, d) float32."""
        head = self.head
        head.passing = True
        try:
            found: Tensor = self.network((x.expand(-1, 3, -1, -1) - self.mean) / self.std)
        finally:
            head.passing = False
        return found.float()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to logits (n, k)."""
        logits: Tensor = self.head(self.features(x))
        return logits


class Head(nn.Linear):
    """A linear layer that can be told to let its input pass."""

    passing = False

    def forward(self, x: Tensor) -> Tensor:
        """Map features (n, d) to logits (n, k), or to themselves."""
        return x if self.passing else super().forward(x)


class PooledWideResNet(WideResNet):  # type: ignore[misc]
    """pytorch-ood's wide residual network, for images of any size."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (n, 3, h, w) to logits (n, k)."""
        logits: Tensor = self.fc(self.feature_maps(x).mean((2, 3)))
        return logits
