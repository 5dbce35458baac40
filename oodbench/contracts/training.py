"""The contracts of classifiers with their own loss, auxiliary images or existing weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts.classifier import Classifier, Recipe
from oodbench.errors import PluginError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from oodbench.contracts.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """Some images, and the network that is to learn from them.

    Attributes:
        module: the network, in training mode, with what `CustomClassifier.begin` added to it.
        images: (n, c, h, w) float32 in [0, 1], not augmented, on the training device.
        labels: (n,) int64, their classes.
        auxiliary: (m, c, h, w) images of the auxiliary set; None if there is none.
        done: share of the steps that is done, in [0, 1).
        generator: a CPU generator to draw from.
        features: passes images through the network, in the precision of the run, and returns
            features, (n, d) float32.
    """

    module: nn.Module
    images: Tensor
    labels: Tensor
    auxiliary: Tensor | None = None
    done: float
    generator: torch.Generator
    features: Callable[[Tensor], Tensor]


class CustomClassifier(Classifier):
    """A classifier with its own loss, auxiliary images, or existing weights.

    Unless `load` finds weights, it is trained as its recipe says. A step minimises the `loss` of
    the logits; where there are auxiliary images, each batch is followed by one of as many of them,
    and both pass through the network together. A method whose loss depends on more than logits
    overrides `objective`; what it needs beside the network, `begin` adds and `finish` removes.
    """

    note: str = ""
    """What `load` has to say to the user, in a few words."""

    argument: ClassVar[str] = ""
    """The parameter that follows the name and a slash, as in ``outlier-exposure/resnet18``."""

    @property
    def full_name(self) -> str:
        """Return what records and tables call it: the name, a slash and the `argument`."""
        value = getattr(self, self.argument) if self.argument else ""
        return f"{self.info.name}/{value}" if value else self.info.name

    def auxiliary(self) -> str | None:
        """Return the name of a data set to learn from in addition to the ID set.

        Its training images are used; its test images where there are no others. A run that tests
        the same images is refused.
        """
        return None

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Load existing weights into a new module; return whether there are any.

        Args:
            module: as `build` returned it, on the CPU.
            num_classes: k.

        Raises:
            DataUnavailable: if they cannot be had.
            InvalidData: if they do not fit.
        """
        return False

    def loss(self, logits: Tensor, labels: Tensor, done: float) -> Tensor:
        """Return the loss of a training step: cross-entropy, unless a subclass overrides it.

        Args:
            logits: (n, k) float32.
            labels: (n,) int64, the classes; -1 for auxiliary images.
            done: share of the steps that is done, in [0, 1).

        Returns:
            A scalar.
        """
        from torch.nn import functional

        smoothing = self.recipe.label_smoothing
        return functional.cross_entropy(logits, labels, ignore_index=-1, label_smoothing=smoothing)

    def begin(self, module: nn.Module, shape: tuple[int, int, int], num_classes: int) -> None:
        """Add to a new network what its training alone needs, such as a projection.

        Args:
            module: as `build` returned it, on the CPU. Parameters and buffers of what is added are
                trained and kept in checkpoints with it.
            shape: (c, h, w) of the images.
            num_classes: k.
        """

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss of a training step, and the logits of its images.

        By default the `loss` of the logits of augmented images, auxiliary ones included.

        Returns:
            A scalar, and (n, k) or more rows, of which the first n tell the training accuracy.
        """
        import torch

        images, labels = step.images, step.labels
        if step.auxiliary is not None:
            images = torch.cat([images, step.auxiliary])
            labels = torch.cat([labels, labels.new_full((len(step.auxiliary),), -1)])
        head: Any = step.module.head
        logits: Tensor = head(step.features(self.augment(images, step.generator)))
        return self.loss(logits, labels, step.done), logits

    def finish(self, module: nn.Module) -> None:
        """Remove from a trained network what `begin` added, so that it is as `build` returns it.

        Args:
            module: the trained network, whose weights may also be changed here for the last time.
        """


class DerivedClassifier(CustomClassifier):
    """A classifier with the network, recipe and augmentation of another classifier.

    A subclass takes a parameter ``network``, the name of that other classifier, which the harness
    looks up and hands over by `on`.
    """

    argument = "network"
    network: str
    _base: Classifier | None = None

    def on(self, base: Classifier) -> Self:
        """Take the classifier that `network` names, and return self."""
        self._base = base
        self.flip = base.flip
        return self

    def suited(self, dataset: Dataset) -> Self:
        """Return the classifier to use on an ID set: on the network that suits it."""
        return copy.copy(self).on(self.base.suited(dataset))

    @property
    def base(self) -> Classifier:
        """The other classifier.

        Raises:
            PluginError: if it was not handed over yet.
        """
        if self._base is None:
            raise PluginError(f"{self.full_name}: no classifier was passed to on()")
        return self._base

    @property
    def recipe(self) -> Recipe:
        """Return how the other classifier is trained."""
        return self.base.recipe

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network of the other classifier."""
        return self.base.build(shape, num_classes)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of the other classifier."""
        return self.base.optimizer(module)

    def layers(self, module: nn.Module) -> Mapping[str, nn.Module]:
        """Return the layers that the other classifier names."""
        return self.base.layers(module)

    def weight_name(self, name: str) -> str:
        """Return what the other classifier calls a weight of a published file."""
        return self.base.weight_name(name)

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return training images, changed as by the other classifier."""
        return self.base.augment(images, generator)
