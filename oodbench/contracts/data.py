"""What detectors are given: batches, streams of them, and the context of a job."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oodbench.errors import PluginError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Need(enum.StrEnum):
    """What a detector needs; the harness provides exactly that, from one forward pass."""

    INPUTS = "inputs"
    """The images themselves."""
    LOGITS = "logits"
    """The classifier's outputs before the softmax."""
    FEATURES = "features"
    """The classifier's penultimate features."""
    LAYERS = "layers"
    """What `Trainable.reduce` makes of the outputs of the classifier's layers."""
    LAYER_GRADIENTS = "layer_gradients"
    """Gradients in these outputs too, for `Trainable.reduce`; together with LAYERS."""
    CLASSIFIER = "classifier"
    """The classifier itself, as ``context.classifier``, for gradients or training in the loop."""
    VALIDATION = "validation"
    """For ``fit``: ID images that were held out of the training, as ``context.validation``."""


class Batch:
    """Some images of one data set, with exactly what a detector declared that it needs.

    Reading a field that the detector did not declare in ``needs`` raises `PluginError`, so that a
    missing declaration is found at once.

    Args:
        labels: (n,) int64, the true classes; -1 where the set has none. A detector may use them
            in ``fit`` alone: they are -1 whenever ``score`` is called.
        inputs: the images: (n, c, h, w) float32 in [0, 1], the geometry of the ID data set.
        logits: the classifier's logits: (n, k) float32.
        features: the classifier's penultimate features: (n, d) float32.
        reduced: what `Trainable.reduce` returned: (n, r).
    """

    def __init__(
        self,
        labels: Tensor,
        *,
        inputs: Tensor | None = None,
        logits: Tensor | None = None,
        features: Tensor | None = None,
        reduced: Tensor | None = None,
    ) -> None:
        self.labels = labels
        self._inputs = inputs
        self._logits = logits
        self._features = features
        self._reduced = reduced

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> Tensor:
        """Return the images, (n, c, h, w) float32 in [0, 1], in the geometry of the ID data set."""
        return self._declared(self._inputs, Need.INPUTS)

    @property
    def logits(self) -> Tensor:
        """Return the classifier's logits, (n, k) float32."""
        return self._declared(self._logits, Need.LOGITS)

    @property
    def features(self) -> Tensor:
        """Return the classifier's penultimate features, (n, d) float32."""
        return self._declared(self._features, Need.FEATURES)

    @property
    def reduced(self) -> Tensor:
        """Return what `Trainable.reduce` made of the layers' outputs: (n, r), of its own dtype."""
        return self._declared(self._reduced, Need.LAYERS, "reduced")

    @staticmethod
    def _declared(value: Tensor | None, need: Need, name: str = "") -> Tensor:
        if value is None:
            field = name or need.value
            raise PluginError(f"uses batch.{field} but does not declare Need.{need.name}")
        return value


class Stream(ABC):
    """A set of images that can be iterated more than once, batch by batch.

    Attributes:
        shape: (c, h, w) of the images.
        num_classes: number of classes of the ID data set.
    """

    shape: tuple[int, int, int]
    num_classes: int

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Yield every image once, in the order of the data set."""

    @abstractmethod
    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield one epoch of full batches in random order; the remainder is dropped.

        Args:
            batch_size: images in each batch; at most ``len(self)``.
            generator: a CPU generator that draws the order.

        Raises:
            ValueError: if there are fewer images than ``batch_size``.
        """


def _ignore(*_: float, **__: float) -> None:
    """Ignore reports of progress."""


class Checkpoint:
    """The state of a long training, kept so that a killed run resumes from there.

    This class keeps nothing; the harness passes one that does.
    """

    def load(self) -> Mapping[str, Any] | None:
        """Return the state saved last, tensors on the CPU; None if there is none."""
        return None

    def is_due(self) -> bool:
        """Return whether enough time has passed to save again."""
        return False

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state: tensors, numbers and text by name."""


@dataclass
class Context:
    """Where and how a part is fitted, or restored to be used.

    Attributes:
        device: the torch device to compute on.
        seed: the seed of this fit; torch's global generators are seeded with it already.
        shape: (c, h, w) of the images.
        num_classes: number of classes of the ID data set.
        layers: with ``Need.LAYERS``, the shapes of the outputs of the classifier's layers for one
            image, (c, h, w) or (t, d), by the layer's name, from early to late.
        precision: ``"bfloat16"`` where reduced precision may be used for speed, else ``"float32"``.
        parts: the fitted parts that `Trainable.parts` asked for, by the names given there.
        auxiliary: the images that `Trainable.auxiliary` asked for, in the geometry of the ID set.
        checkpoint: keeps the state of a training that takes long.
        progress: call it as ``progress(done, total, loss=0.1, ...)`` as often as you like;
            the figures are shown live and kept as training curves.
    """

    device: torch.device
    seed: int
    shape: tuple[int, int, int]
    num_classes: int
    precision: str = "float32"
    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    auxiliary: Stream | None = None
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    progress: Callable[..., None] = _ignore
    _classifier: nn.Module | None = None
    _validation: Stream | None = None

    @property
    def classifier(self) -> nn.Module:
        """The trained classifier, on `device`, in evaluation mode, with frozen weights.

        It maps (n, c, h, w) float32 in [0, 1] to logits (n, k); see `Classifier.build`.

        Raises:
            PluginError: if the detector does not declare ``Need.CLASSIFIER``.
        """
        if self._classifier is None:
            raise PluginError("uses context.classifier but does not declare Need.CLASSIFIER")
        return self._classifier

    @property
    def validation(self) -> Stream:
        """ID images that neither the classifier nor any ``fit`` has learned from, with labels.

        Their batches hold what `Trainable.needs` and `Trainable.fit_needs` name. What is to be
        estimated on images that the classifier has not seen, such as a temperature, is fitted on
        these; a detector that learns nothing else names ``Need.VALIDATION`` alone in ``fit_needs``,
        so that no training image has to pass through the classifier for it.

        Raises:
            PluginError: if ``fit_needs`` does not name ``Need.VALIDATION``.
        """
        if self._validation is None:
            raise PluginError("uses context.validation but fit_needs lacks Need.VALIDATION")
        return self._validation

    def with_classifier(self, classifier: nn.Module, num_classes: int) -> Context:
        """Return the same context with another classifier, of ``num_classes`` classes."""
        return replace(self, num_classes=num_classes, _classifier=classifier)

    def generator(self, stream: int = 0) -> torch.Generator:
        """Return a new CPU generator that depends on `seed` and on the number ``stream`` alone."""
        import torch

        return torch.Generator().manual_seed(self.seed * 1_000_003 + stream)
