"""Classifiers made of library models: normalisation, features and head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import InvalidParameter


class Wrapper(nn.Module):
    """A library's model that takes images of any geometry.

    Grey images are repeated to three channels if the model takes three.

    Args:
        network: maps normalised images to logits. Its state dictionary is the library's.
        mean: of each channel, of pixels in [0, 1].
        std: of each channel.
        size: side that images are resized to; 0 leaves them as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], size: int = 0
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.size = size
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values)[:, None, None]
            self.register_buffer(name, buffer, persistent=False)

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """The model's last layer, from features (n, d) to logits (n, k)."""

    @abstractmethod
    def penultimate(self, x: Tensor) -> Tensor:
        """Map normalised images to features (n, d)."""

    def normalised(self, x: Tensor) -> Tensor:
        """Return images (n, c, h, w) in [0, 1] as the model takes them."""
        if x.shape[1] < len(self.mean):
            x = x.expand(-1, len(self.mean), -1, -1)
        if self.size and tuple(x.shape[2:]) != (self.size, self.size):
            x = functional.interpolate(
                x, size=(self.size, self.size), mode="bilinear", antialias=True
            )
        return (x - self.mean) / self.std

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, c, h, w) in [0, 1] to features (n, d) float32."""
        return self.penultimate(self.normalised(x)).float()

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


class LastLinear(Wrapper):
    """A model whose last linear layer is the head, and all before it makes the features.

    Args:
        network: as of `Wrapper`; the layer is replaced by an equal one.
        mean: as of `Wrapper`.
        std: as of `Wrapper`.
        size: as of `Wrapper`.

    Raises:
        InvalidParameter: if there is no linear layer.
    """

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], size: int = 0
    ) -> None:
        super().__init__(network, mean, std, size)
        linear = {
            name: module for name, module in network.named_modules() if type(module) is nn.Linear
        }
        if not linear:
            raise InvalidParameter("it has no linear layer to take for the head")
        self._place, last = linear.popitem()
        head = Head(last.in_features, last.out_features, bias=last.bias is not None)
        head.load_state_dict(last.state_dict())
        parent, _, name = self._place.rpartition(".")
        setattr(network.get_submodule(parent), name, head)

    @property
    def head(self) -> Head:
        """The last linear layer."""
        found = self.network.get_submodule(self._place)
        assert isinstance(found, Head)
        return found

    def penultimate(self, x: Tensor) -> Tensor:
        """Map normalised images to what reaches the head: (n, d)."""
        head = self.head
        head.passing = True
        try:
            found: Tensor = self.network(x)
        finally:
            head.passing = False
        return found


class PreLogits(Wrapper):
    """A model of timm, which says itself what comes before its classifier."""

    @property
    def head(self) -> nn.Module:
        """The model's classifier.

        Raises:
            InvalidParameter: if it has several.
        """
        found = self.network.get_classifier()
        if not isinstance(found, nn.Module):
            raise InvalidParameter("it has several heads; choose a model with one")
        return found

    def penultimate(self, x: Tensor) -> Tensor:
        """Map normalised images to the pooled features: (n, d)."""
        maps = self.network.forward_features(x)
        found: Tensor = self.network.forward_head(maps, pre_logits=True)
        return found


def tried(module: Wrapper, shape: tuple[int, int, int], num_classes: int, hint: str) -> Wrapper:
    """Return a module that turned a blank image into features and logits.

    Args:
        module: the module.
        shape: (c, h, w) of the images.
        num_classes: classes of the ID set.
        hint: what may help where it cannot take such images.

    Raises:
        InvalidParameter: if it did not.
    """
    module.eval()
    blank = torch.zeros(1, *shape)
    try:
        with torch.no_grad():
            features = module.features(blank)
            logits = module.head(features)
            whole = module.network(module.normalised(blank))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        side = f"{shape[1]}x{shape[2]}"
        raise InvalidParameter(f"it does not take images of {side} ({reason}); {hint}") from error
    if features.ndim != 2 or logits.shape != (1, num_classes):
        raise InvalidParameter("its features and logits are not of shapes (n, d) and (n, k)")
    if not torch.allclose(logits, whole, rtol=1e-3, atol=1e-4):
        raise InvalidParameter("its last layer does not make its logits of its features alone")
    return module.train()
