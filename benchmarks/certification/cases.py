"""What every implementation is given: fixed arrays, and a trained network with its images."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import oodbench_weights
from oodbench.contracts import Batch, Context, Detector, Need
from oodbench.registry.lookup import load_registry
from oodbench.stages.network import Network
from oodbench.stages.passing import reduced, wants_gradients
from oodbench.testing import TensorStream
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_datasets.digits import Digits, RotatedDigits
from oodbench_posthoc.principal import principal_dimension

CLASSES, WIDTH = 5, 24
REGISTRY = load_registry()
SETTINGS = {"mcd": {"samples": 2000, "mode": "mean"}}
WEIGHTS = Path(oodbench_weights.__file__).parent / "digits-train-preact-resnet-seed-0"


@dataclass(frozen=True)
class Case:
    """Images, their features and labels, and the classifier that makes the features.

    Attributes:
        name: of the case.
        network: maps images to features (``features``) and logits; its last layer is ``head``.
        train_images: (n, c, h, w) float32.
        labels: (n,) int64, of the training images.
        validation_images: (v, c, h, w) float32.
        validation_labels: (v,) int64.
        images: (m, c, h, w) float32, those that are scored.
        has_maps: whether the network has layers that put out maps.
    """

    name: str
    network: Any
    train_images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    images: Tensor
    has_maps: bool

    @cached_property
    def train(self) -> Tensor:
        """Return the features of the training images: (n, d) float32."""
        return self._features(self.train_images)

    @cached_property
    def validation(self) -> Tensor:
        """Return those of the validation images: (v, d)."""
        return self._features(self.validation_images)

    @cached_property
    def scored(self) -> Tensor:
        """Return those of the images that are scored: (m, d)."""
        return self._features(self.images)

    def _features(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features: Tensor = self.network.features(images)
        return features

    @property
    def principal_dimension(self) -> int:
        """Return how many dimensions the principal space of ViM and residual has."""
        return principal_dimension(None, self.head.in_features)

    @property
    def num_classes(self) -> int:
        """Return the number of classes."""
        return int(self.network.head.out_features)

    @property
    def head(self) -> nn.Linear:
        """Return the last layer, from features (n, d) to logits (n, k)."""
        head: nn.Linear = self.network.head
        return head

    @property
    def train_logits(self) -> Tensor:
        """Return the logits of the training images: (n, k) float32."""
        return self.head(self.train)

    @property
    def validation_logits(self) -> Tensor:
        """Return the logits of the validation images: (v, k) float32."""
        return self.head(self.validation)

    @property
    def logits(self) -> Tensor:
        """Return the logits of the images that are scored: (m, k) float32."""
        return self.head(self.scored)

    def flat(self) -> nn.Sequential:
        """Return a new network whose images are features, for libraries that pass images."""
        head = nn.Linear(self.head.in_features, self.head.out_features)
        head.load_state_dict(self.head.state_dict())
        return nn.Sequential(OrderedDict(penultimate=nn.Flatten(), head=head)).eval()

    def taken_apart(self, dtype: torch.dtype = torch.float32) -> nn.Sequential:
        """Return the network as features and head, for libraries that name layers.

        Args:
            dtype: of the logits; softmaxes at high temperatures tie in float32.
        """
        head = copy.deepcopy(self.head).to(dtype)
        penultimate = Features(self.network, dtype)
        return nn.Sequential(OrderedDict(penultimate=penultimate, head=head)).eval()

    def dropping(self) -> Case:
        """Return the case whose images are the features, and whose network has dropout."""
        images = (self.train_images, self.validation_images, self.images)
        train, validation, scored = (self._features(each)[:, None, None] for each in images)
        network = Flat(self.head, nn.Dropout()).eval()
        known = self.validation_labels
        return Case(self.name, network, train, self.labels, validation, known, scored, False)

    @staticmethod
    def new(name: str) -> Detector:
        """Return our detector of a name, with its default parameters."""
        detector: Detector = REGISTRY.detectors[name].target(**SETTINGS.get(name, {}))
        return detector

    def fitted(self, name: str) -> Detector:
        """Return the same, after its fit."""
        detector = self.new(name)
        shape: Any = tuple(self.images.shape[1:])
        train, validation = (
            TensorStream(batch, shape=shape, num_classes=self.num_classes, batch_size=256)
            for batch in (
                self._batch(detector, self.train_images, self.labels),
                self._batch(detector, self.validation_images, self.validation_labels),
            )
        )
        context = Context(
            torch.device("cpu"),
            0,
            shape,
            self.num_classes,
            layers=self.inside.shapes if Need.LAYERS in detector.needs else {},
            _classifier=self.network,
            _validation=validation,
        )
        with torch.no_grad():
            return detector.fit(train, context)

    @cached_property
    def inside(self) -> Network:
        """Return the network with its layers."""
        network = Network(self.network, "cpu")
        network.look_inside(self.network.layers(), tuple(self.images.shape[1:]))
        return network

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps (n, c, h, w) that layers put out, by name, from early to late."""
        with torch.no_grad():
            return dict(self.inside(images).layers().outputs)

    def scores_of(self, name: str) -> np.ndarray:
        """Return our scores (m,) by a detector with its default parameters."""
        if name == "mcd":
            return self.dropping()._scores_of(name)
        return self._scores_of(name)

    def _scores_of(self, name: str) -> np.ndarray:
        fitted = self.fitted(name)
        batch = self._batch(fitted, self.images, torch.full((len(self.images),), -1))
        with torch.no_grad():
            return fitted.score(batch).double().numpy()

    def _batch(self, detector: Detector, images: Tensor, labels: Tensor) -> Batch:
        features, made = self._features(images), None
        if Need.LAYERS in detector.needs:
            made = reduced(detector, self.inside(images, gradients=wants_gradients(detector)))
        logits = self.head(features)
        return Batch(labels, inputs=images, features=features, logits=logits, reduced=made)


class Features(nn.Module):
    """What a network does before its head.

    Args:
        network: has ``features``.
        dtype: of what it returns.
    """

    def __init__(self, network: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (n, d) of images."""
        features: Tensor = self.network.features(images).to(self.dtype)
        return features


class Flat(nn.Module):
    """A network whose images are features.

    Args:
        head: the last layer.
        dropout: what comes before it.
    """

    def __init__(self, head: nn.Linear, dropout: nn.Module | None = None) -> None:
        super().__init__()
        self.dropout = dropout or nn.Identity()
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """Return the features (n, d) that images (n, 1, 1, d) are."""
        return images.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, k) of images."""
        return self.head(self.dropout(self.features(images)))


def arrays() -> Case:
    """Return fixed features that are hard on implementations.

    They are rounded, so that some tie; many are negative. One is 0 for all training images and 0.1
    for some that are scored, one is 0.1 for all. The last class has two training images.
    """
    means = 2 * np.random.default_rng(99).normal(size=(CLASSES, WIDTH)).round(1)
    means[:, 0], means[:, 1] = 0, 0.1

    def drawn(count: int, seed: int, spread: float) -> tuple[Tensor, Tensor]:
        generator = np.random.default_rng(seed)
        labels = np.arange(count) % (CLASSES - 1)
        labels[:2] = CLASSES - 1
        noise = spread * generator.normal(size=(count, WIDTH))
        noise[:, :2] = 0
        values = np.round(means[labels] + noise, 1).astype(np.float32)
        return torch.from_numpy(values[:, None, None]), torch.from_numpy(labels)

    train, labels = drawn(240, seed=0, spread=1.0)
    held_out, known = drawn(120, seed=3, spread=4.0)  # some are taken for another class
    inside, _ = drawn(80, seed=1, spread=1.0)
    outside, _ = drawn(80, seed=2, spread=3.0)
    outside[::4, 0, 0, 0] = 0.1
    head = nn.Linear(WIDTH, CLASSES).requires_grad_(False)
    head.weight.copy_(torch.from_numpy(means) / 4)
    head.bias.copy_(torch.from_numpy(-(means**2).sum(axis=1) / 8))
    images = torch.cat([inside, outside])
    return Case("arrays", Flat(head), train, labels, held_out, known, images, has_maps=False)


def digits() -> Case:
    """Return scikit-learn's digits, their classifier that ships, and rotated digits as OOD.

    Every other test image is a validation image.
    """
    train, inside = (Digits().load(Path(), split) for split in ("train", "test"))
    outside = RotatedDigits().load(Path(), "test")
    network = PreactResNet(epochs=30, shift=0).build((1, 8, 8), 10)
    network.load_state_dict(load_file(WEIGHTS / "model.safetensors"))
    network.eval().requires_grad_(False)

    def tensor(images: Any) -> Tensor:
        return torch.from_numpy(np.asarray(images))[:, None].float() / 255

    tested, known = tensor(inside.images), torch.from_numpy(np.asarray(inside.labels))
    return Case(
        "digits",
        network,
        tensor(train.images),
        torch.from_numpy(np.asarray(train.labels)),
        tested[1::2],
        known[1::2],
        torch.cat([tested[::2], tensor(outside.images)]),
        has_maps=True,
    )
