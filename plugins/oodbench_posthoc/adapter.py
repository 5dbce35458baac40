"""Adapters from detectors of pytorch-ood to detectors of oodbench.

An adapter names a class of `pytorch_ood.detector` and declares the parameters; the arguments of the
constructor are filled in by name, from these parameters and from the classifier. The one forward
pass of the harness feeds all of them but those that change the images: pytorch-ood is handed
logits or features, never a network to pass images through.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Need,
    PluginError,
    State,
    Stream,
    parameters,
)
from oodbench_posthoc.memory import check_memory

if TYPE_CHECKING:
    from torch import Tensor, nn


NETWORKS = ("encoder", "model", "backbone")
"""Arguments that are networks; the harness has passed the images through them already."""


class Adapter(Detector):
    """A detector that pytorch-ood computes.

    Attributes:
        original: name of the class in `pytorch_ood.detector`.
        renamed: the parameters that have another name there: ``{"t": "temperature"}``.
        of_classifier: arguments of its constructor that are made from the classifier.
    """

    family = "posthoc"
    original: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}
    of_classifier: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    def construct(self, context: Context | None = None) -> Any:
        """Return a new detector of pytorch-ood with the parameters of this one.

        Args:
            context: gives the classifier, if the constructor wants something of it.

        Raises:
            PluginError: if it does, and the adapter does not declare ``Need.CLASSIFIER``.
        """
        import pytorch_ood.detector

        constructor = getattr(pytorch_ood.detector, self.original)
        return constructor(**self.arguments(inspect.signature(constructor).parameters, context))

    def arguments(self, names: Iterable[str], context: Context | None) -> dict[str, Any]:
        """Return the arguments of pytorch-ood's constructor, of those with ``names``."""
        ours = parameters(self)
        found: dict[str, Any] = {}
        for name in names:
            own = self.renamed.get(name, name)
            if own in ours:
                found[name] = ours[own]
            elif name in self.of_classifier and context is not None:
                found[name] = self.of_classifier[name](context.classifier)
            elif name in NETWORKS:
                found[name] = None
        return found


class LogitsAdapter(Adapter):
    """A detector of pytorch-ood that scores logits and learns nothing.

    The logits arrive in float32 and are raised to float64 before they are scored. A confident
    classifier's softmax rounds to exactly 1 in float32 once the largest logit leads by about 17,
    which ties the most confident images with each other; in float64 that takes a lead of about
    37. The scores are those that pytorch-ood gives to logits in float64.
    """

    needs = frozenset({Need.LOGITS})

    def score(self, batch: Batch) -> Tensor:
        """Return pytorch-ood's outlier score of the logits: (n,) float64."""
        scores: Tensor = self.construct().predict_logits(batch.logits.double())
        return scores


class FittedAdapter(Adapter):
    """A detector of pytorch-ood that is fitted on all training images at once.

    What it learns is what fitting changes about pytorch-ood's object: tensors, numbers and texts,
    which are kept under the names of its attributes. The rest is constructed again.

    Attributes:
        copies: how often pytorch-ood holds all that it is fitted on, besides the original.
    """

    copies: ClassVar[float] = 2.0

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit pytorch-ood's detector on what the classifier makes of the training images.

        Raises:
            PluginError: if all images at once do not fit into memory.
        """
        values, labels = gather(train, self.read, self.copies)
        return self.fit_values(values, labels, context)

    def fit_values(self, values: Tensor, labels: Tensor, context: Context) -> Self:
        """Fit pytorch-ood's detector on the values (n, ...) and labels (n,) of training images."""
        fitted = self.construct(context)
        before = dict(vars(fitted))
        self.learn(fitted, values, labels)
        now = vars(fitted)
        self._learned = [name for name in now if now[name] is not before.get(name)]
        self.fitted_ = fitted
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return pytorch-ood's outlier score: (n,) float32 or float64."""
        # some keep what they learned on the CPU, and score there
        return self.judge(self.fitted_, self.read(batch)).to(batch.labels.device)

    def read(self, batch: Batch) -> Tensor:
        """Return the values of a batch that the detector uses: (n, ...)."""
        raise NotImplementedError

    def learn(self, original: Any, values: Tensor, labels: Tensor) -> None:
        """Fit pytorch-ood's detector on the values (n, ...) and labels (n,) of training images."""
        raise NotImplementedError

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Return the outlier score (n,) that pytorch-ood's detector gives to values (n, ...)."""
        raise NotImplementedError

    def state(self) -> State:
        """Return the state of pytorch-ood's detector, by the names of its attributes.

        Raises:
            PluginError: if one of them is neither tensor, number nor text.
        """
        import torch

        state = {name: getattr(self.fitted_, name) for name in self._learned}
        for name, value in state.items():
            if not isinstance(value, torch.Tensor | int | float | str):
                raise PluginError(
                    f"pytorch-ood's {self.original} learns {name}, a {type(value).__name__}; "
                    "override state() and restore() to keep it"
                )
        return state

    def restore(self, state: State, context: Context) -> Self:
        """Construct pytorch-ood's detector and restore its state."""
        import torch

        self.fitted_ = self.construct(context)
        self._learned = list(state)
        for name, value in state.items():
            on_device = value.to(context.device) if isinstance(value, torch.Tensor) else value
            setattr(self.fitted_, name, on_device)
        return self


class FittedLogitsAdapter(FittedAdapter):
    """A detector of pytorch-ood that is fitted on logits, and scores them, in float64."""

    needs = frozenset({Need.LOGITS})
    copies = 4.0

    def read(self, batch: Batch) -> Tensor:
        """Return the logits: (n, k) float64, for the reason that `LogitsAdapter` gives."""
        return batch.logits.double()

    def learn(self, original: Any, values: Tensor, labels: Tensor) -> None:
        """Fit on logits (n, k) and labels (n,)."""
        original.fit_logits(values, labels)

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score logits (n, k)."""
        scores: Tensor = original.predict_logits(values)
        return scores


class FeaturesAdapter(FittedAdapter):
    """A detector of pytorch-ood that is fitted on penultimate features, and scores them."""

    needs = frozenset({Need.FEATURES})
    of_classifier: ClassVar = {
        "head": lambda classifier: classifier.head,
        "w": lambda classifier: _linear_head(classifier).weight,
        "b": lambda classifier: _linear_head(classifier).bias,
    }

    def read(self, batch: Batch) -> Tensor:
        """Return the penultimate features: (n, d) float32."""
        return batch.features

    def learn(self, original: Any, values: Tensor, labels: Tensor) -> None:
        """Fit on features (n, d) and labels (n,)."""
        original.fit_features(values, labels)

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score features (n, d)."""
        scores: Tensor = original.predict_features(values)
        return scores


def _linear_head(classifier: Any) -> nn.Linear:
    from oodbench_posthoc.heads import linear

    return linear(classifier.head)


def gather(
    train: Stream, read: Callable[[Batch], Tensor], copies: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return one kind of values of all images of a stream.

    Args:
        train: the images.
        read: returns it of a batch, (n, ...).
        copies: how many more copies of it there must be room for.

    Returns:
        What was read, (N, ...), and the labels, (N,) int64.

    Raises:
        PluginError: if there is too little memory, before any is taken.
    """
    import torch

    first = read(next(iter(train)))
    check_memory(len(train) * first[0].nbytes * (1 + copies), len(train), first.device)
    values = first.new_empty((len(train), *first.shape[1:]))
    labels, done = [], 0
    for batch in train:
        values[done : done + len(batch)] = read(batch)
        labels.append(batch.labels)
        done += len(batch)
    return values, torch.cat(labels)
