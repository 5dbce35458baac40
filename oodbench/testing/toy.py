"""A small problem on which detectors are fitted and scored in milliseconds."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodbench.contracts import (
    Batch,
    Classifier,
    Context,
    DerivedClassifier,
    Info,
    Need,
    Recipe,
    Stream,
    Trainable,
)
from oodbench.stages.network import Network
from oodbench.stages.passing import reduced, wants_gradients

SHAPE = (1, 8, 8)
NUM_CLASSES = 3
TEMPLATES_PER_CLASS = 4
NUM_TEXTURES = 20
MEMBERS = 3
"""Classifiers of an ensemble."""


class TensorStream(Stream):
    """A stream over tensors in memory.

    Args:
        whole: every image, as one batch; the batches of an iteration are views into it.
        shape: (c, h, w) of the images.
        num_classes: number of classes of the ID data set.
        batch_size: images in each batch of an iteration.
    """

    def __init__(
        self, whole: Batch, *, shape: tuple[int, int, int], num_classes: int, batch_size: int = 64
    ) -> None:
        self.whole = whole
        self.shape = shape
        self.num_classes = num_classes
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the images in order; the last batch may be smaller."""
        for start in range(0, len(self), self.batch_size):
            yield take(self.whole, slice(start, start + self.batch_size))

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield one epoch of full batches in random order."""
        if len(self) < batch_size:
            raise ValueError(f"{len(self)} images do not fill a batch of {batch_size}")
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, len(self) - batch_size + 1, batch_size):
            yield take(self.whole, order[start : start + batch_size])


def take(batch: Batch, index: slice | Tensor) -> Batch:
    """Return some images of a batch: a view for a slice, a copy for (m,) int64 positions."""
    if isinstance(index, Tensor):
        index = index.to(batch.labels.device)
    fields: dict[str, Any] = {
        name.removeprefix("_"): None if value is None else value[index]
        for name, value in vars(batch).items()
    }
    return Batch(**fields)


class Filters(nn.Module):
    """Filters that compare each quarter of an image with their own.

    Args:
        count: number of filters.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(count, *SHAPE[1:]))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 1, 8, 8) to maps (n, count, 2, 2), whose sums are the responses."""
        products = (x * self.weight).reshape(len(x), len(self.weight), 2, 4, 2, 4)
        return products.sum(dim=(3, 5))


class ToyClassifier(nn.Module):
    """A classifier of the toy problem, by comparing an image with noisy copies of its patterns.

    A module as `oodbench.contracts.Classifier.build` returns, with k = 3 classes and d = 32
    features, none of them negative: 12 respond to the patterns, and 20 to textures that the
    patterns do not have. The head ignores textures, so that noise gets small logits and yet
    features that are far from those of any ID image. It is set up, not trained, and thus the
    same everywhere. Its layer of dropout does nothing in evaluation mode, as usual.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        patterns = _patterns().flatten(1)
        classes = torch.arange(NUM_CLASSES).repeat_interleave(TEMPLATES_PER_CLASS)
        templates = (patterns - patterns.mean(dim=0))[classes]
        templates = templates + 0.3 * torch.randn(templates.shape, generator=generator)
        templates = templates - templates.mean(dim=1, keepdim=True)
        textures = _orthogonal_to(
            torch.cat([patterns, torch.ones_like(patterns[:1])]),
            torch.randn(NUM_TEXTURES, patterns.shape[1], generator=generator),
        )
        self.centred = nn.Identity()
        self.filters = Filters(len(templates) + len(textures))
        self.bias = nn.Parameter(torch.zeros(len(templates) + len(textures)))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(len(templates) + len(textures), NUM_CLASSES)
        self.requires_grad_(False).eval()
        self.filters.weight.copy_(torch.cat([templates / 4, textures * 0.4]).reshape(-1, 8, 8))
        self.bias[: len(templates)] = 1
        self.bias[len(templates) :] = 2
        self.head.weight.zero_()
        self.head.bias.zero_()
        self.head.weight[:, : len(templates)] = F.one_hot(classes, NUM_CLASSES).T.float()

    def features(self, x: Tensor) -> Tensor:
        """Map images (n, 1, 8, 8) in [0, 1] to features (n, 32), at least 0."""
        responses = self.filters(self.centred(x - 0.5)).sum(dim=(2, 3))
        features: Tensor = self.dropout(F.relu(responses + self.bias))
        return features

    def layers(self) -> Mapping[str, nn.Module]:
        """Return the layers: centred images (n, 1, 8, 8), and responses (n, 32, 2, 2)."""
        return {"centred": self.centred, "filters": self.filters}

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 1, 8, 8) in [0, 1] to logits (n, 3)."""
        logits: Tensor = self.head(self.features(x))
        return logits


@dataclass(frozen=True)
class ToyProblem:
    """Images of three classes, images that belong to none, and a classifier for the three.

    Attributes:
        train_images: (300, 1, 8, 8) float32 in [0, 1].
        train_labels: (300,) int64 in [0, 3).
        id_images: (100, 1, 8, 8) float32 in [0, 1], distributed as the training images.
        ood_images: (100, 1, 8, 8) float32 of 0 and 1, noise.
        classifier: tells the classes apart; weights frozen, in evaluation mode, on the CPU.
    """

    train_images: Tensor
    train_labels: Tensor
    id_images: Tensor
    ood_images: Tensor
    classifier: ToyClassifier

    def train(
        self, needs: frozenset[Need], device: str = "cpu", reducing: Trainable | None = None
    ) -> TensorStream:
        """Return the training images, holding just what ``needs`` names, as a new copy.

        Args:
            needs: what batches hold.
            device: where.
            reducing: whose `Trainable.reduce` is called, with ``Need.LAYERS``.
        """
        batch = self._batch(self.train_images, self.train_labels, needs, device, reducing)
        return TensorStream(batch, shape=SHAPE, num_classes=NUM_CLASSES)

    def validation(
        self, needs: frozenset[Need], device: str = "cpu", reducing: Trainable | None = None
    ) -> TensorStream:
        """Return further images of the training distribution, with labels, as validation images."""
        images, labels = _draw(99, torch.Generator().manual_seed(4))
        batch = self._batch(images, labels, needs, device, reducing)
        return TensorStream(batch, shape=SHAPE, num_classes=NUM_CLASSES)

    def auxiliary(self, device: str = "cpu") -> TensorStream:
        """Return images of another noise than `ood_images`, as a set to learn from besides."""
        generator = torch.Generator().manual_seed(3)
        images = torch.rand(len(self.train_images), *SHAPE, generator=generator)
        labels = torch.full((len(images),), -1)
        batch = self._batch(images, labels, frozenset({Need.INPUTS}), device)
        return TensorStream(batch, shape=SHAPE, num_classes=NUM_CLASSES)

    def unlabelled(
        self,
        images: Tensor,
        needs: frozenset[Need],
        device: str = "cpu",
        reducing: Trainable | None = None,
    ) -> Batch:
        """Return images as a batch to be scored; the arguments are those of `train`."""
        return self._batch(images, torch.full((len(images),), -1), needs, device, reducing)

    def _batch(
        self,
        images: Tensor,
        labels: Tensor,
        needs: frozenset[Need],
        device: str,
        reducing: Trainable | None = None,
    ) -> Batch:
        features = self.classifier.features(images)
        fields = {
            Need.INPUTS: images,
            Need.FEATURES: features,
            Need.LOGITS: self.classifier.head(features),
        }
        if reducing is not None and getattr(reducing, "ensemble", False):
            others = [self.classifier.head(features * kept) for kept in _dropped(features)]
            fields[Need.LOGITS] = torch.cat([fields[Need.LOGITS], *others], dim=1)
        held = {
            f"{need}": value.clone().to(device) for need, value in fields.items() if need in needs
        }
        if Need.LAYERS in needs:
            assert reducing is not None
            held["reduced"] = self.reduce(images, reducing).to(device)
        return Batch(labels.clone().to(device), **held)

    @functools.cached_property
    def network(self) -> Network:
        """The classifier, with its layers."""
        network = Network(self.classifier, "cpu")
        network.look_inside(self.classifier.layers(), SHAPE)
        return network

    def reduce(self, images: Tensor, trainable: Trainable) -> Tensor:
        """Return what a detector makes of the layers of images (n, 1, 8, 8): (n, r)."""
        return reduced(trainable, self.network(images, gradients=wants_gradients(trainable)))

    def context(
        self,
        needs: frozenset[Need],
        *,
        seed: int = 0,
        device: str = "cpu",
        parts: Mapping[str, Any] | None = None,
        validation: TensorStream | None = None,
        trained_by: type[DerivedClassifier] | None = None,
    ) -> Context:
        """Return the context of a fit, or of restoring what was fitted."""
        classifier = _built(trained_by).to(device) if Need.CLASSIFIER in needs else None
        return Context(
            device=torch.device(device),
            seed=seed,
            shape=SHAPE,
            num_classes=NUM_CLASSES,
            layers=self.network.shapes if Need.LAYERS in needs else {},
            parts=parts or {},
            _classifier=classifier,
            _validation=validation,
        )


class _Toy(Classifier):
    """The classifier of the toy problem, for a way of training to build on."""

    info = Info(name="toy", summary="The classifier of the toy problem.")
    recipe = Recipe(epochs=1)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new toy classifier."""
        return ToyClassifier()


def _built(trained_by: type[DerivedClassifier] | None) -> nn.Module:
    """Return the classifier with what a way of training adds to it, the same at every call."""
    if trained_by is None:
        return ToyClassifier()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = trained_by().on(_Toy()).build(SHAPE, NUM_CLASSES)
    return built.eval().requires_grad_(False)


def _dropped(features: Tensor) -> Iterator[Tensor]:
    """Yield which features (d,) the other classifiers of an ensemble keep, three in four."""
    for member in range(MEMBERS - 1):
        kept = torch.ones(features.shape[1], dtype=features.dtype)
        kept[member::4] = 0
        yield kept


@functools.cache
def toy_problem() -> ToyProblem:
    """Return the toy problem, the same at every call.

    An image of class k shows the k-th of three patterns (a bar across, a bar down, a ring) at a
    random brightness with a little noise. In an OOD image each pixel is white with probability
    1/5, so that it is about as bright as an ID image and has none of the patterns.
    """
    generator = torch.Generator().manual_seed(2018)
    train_images, train_labels = _draw(300, generator)
    id_images, _ = _draw(100, generator)
    ood_images = (torch.rand(100, *SHAPE, generator=generator) < 0.2).float()
    return ToyProblem(train_images, train_labels, id_images, ood_images, ToyClassifier())


def _draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return ID images, (n, 1, 8, 8) float32, and their classes, (n,) int64."""
    labels = torch.arange(count) % NUM_CLASSES
    brightness = 0.7 + 0.3 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 0.1 * torch.randn(count, *SHAPE, generator=generator)
    return (brightness * _patterns()[labels] + noise).clamp(0, 1), labels


def _patterns() -> Tensor:
    """Return one pattern for each class: (3, 1, 8, 8) of 0 and 1."""
    patterns = torch.zeros(NUM_CLASSES, *SHAPE)
    patterns[0, 0, 3:5] = 1
    patterns[1, 0, :, 3:5] = 1
    patterns[2, 0, 1:7, 1:7] = 1
    patterns[2, 0, 2:6, 2:6] = 0
    return patterns


def _orthogonal_to(directions: Tensor, vectors: Tensor) -> Tensor:
    """Return vectors (n, d) without their components along directions (m, d)."""
    basis: Tensor = torch.linalg.qr(directions.T).Q
    return vectors - vectors @ basis @ basis.T
