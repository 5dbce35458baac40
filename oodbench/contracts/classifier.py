"""The contract of a classifier: the network that detectors protect, and how it is trained."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts.info import Info

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from oodbench.contracts.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained: by one cycle of the learning rate.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: the highest learning rate of the cycle.
        warmup: share of the steps in which the learning rate rises, in (0, 1); then it falls to 0.
        momentum: momentum of SGD.
        weight_decay: L2 penalty on the weights of convolutions and matrices.
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.1
    warmup: float = 0.3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0


class Classifier(ABC):
    """A network architecture with the recipe to train it.

    Parameters are those of `Trainable`: keyword-only, with defaults, stored as given.

    Attributes:
        info: name and source of the architecture.
        flip: whether training images are mirrored at random; None where that is up to the ID set,
            a good default for a parameter of this name.
    """

    info: ClassVar[Info]
    flip: bool | None = False

    @property
    def full_name(self) -> str:
        """Return what records and tables call it."""
        return self.info.name

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """Return how to train it."""

    def suited(self, dataset: Dataset) -> Self:
        """Return the classifier to use on an ID set: with `flip` as the set says, if it is None."""
        if self.flip is not None:
            return self
        suited = copy.copy(self)
        suited.flip = dataset.mirrorable
        return suited

    @abstractmethod
    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new module with random weights.

        The module normalises its inputs itself and has

        * ``features(x)``: (n, c, h, w) float in [0, 1] to (n, d), the penultimate features;
        * ``head``: a module from (n, d) to logits (n, k);
        * ``forward(x)``: ``head(features(x))``.

        Args:
            shape: (c, h, w) of the images.
            num_classes: k.
        """

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Return what changes the weights: SGD with Nesterov momentum, as the recipe says.

        Weight decay is for matrices and convolutions, not for biases and scales. In an optimizer of
        another kind, the learning rate of each group is the highest of the cycle, and what it keeps
        of a weight between steps (``state``) is tensors and numbers.

        Args:
            module: as `build` returned it, on the training device.
        """
        import torch

        recipe = self.recipe
        weights = list(module.parameters())
        groups = [
            {
                "params": [weight for weight in weights if weight.ndim > 1],
                "weight_decay": recipe.weight_decay,
            },
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0
        )

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the modules that put out the layers of a network, by name, from early to late.

        Detectors that look inside the network read their outputs, maps (n, c, h, w) or tokens
        (n, t, d): those of the last block at each resolution, of the last one after its
        activation. Each module is called once in a pass. By default none is named, and a rule
        finds them.

        Args:
            module: as `build` returned it.
        """
        return {}

    def weight_name(self, name: str) -> str:
        """Return what the network calls a weight that a published file calls ``name``.

        By default they are the same. The name may have something in front that is removed later,
        such as ``module.``.
        """
        return name

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return randomly changed training images: (n, c, h, w) float32 in [0, 1] to the same.

        Args:
            images: on the training device.
            generator: a CPU generator to draw from.
        """
        return images
