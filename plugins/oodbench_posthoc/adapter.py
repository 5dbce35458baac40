"""Turn detectors of pytorch-ood into detectors of oodbench.

An adapter names a class of `pytorch_ood.detector` and declares the parameters; the arguments of the
constructor are filled in by name, from these parameters and from the classifier. The one forward
pass of the harness feeds all of them: pytorch-ood is handed logits or features, never a network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Need, PluginError, Stream, parameters

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench.contracts.detector import State

NETWORKS = ("encoder", "model")
"""Arguments that are networks to pass images through, which the harness has done already."""

OF_HEAD: Mapping[str, Callable[[Any], Any]] = {
    "head": lambda head: head,
    "w": lambda head: head.weight,
    "b": lambda head: head.bias,
}
"""Arguments that come from the last layer of the classifier."""


class Adapter(Detector):
    """A detector that pytorch-ood computes.

    Attributes:
        original: name of the class in `pytorch_ood.detector`.
        renamed: the parameters that have another name there: ``{"t": "temperature"}``.
    """

    original: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}

    def construct(self, context: Context | None = None) -> Any:
        """Return a new detector of pytorch-ood with the parameters of this one.

        Args:
            context: gives the classifier, if the constructor wants its last layer.

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
            elif name in NETWORKS:
                found[name] = None
            elif name in OF_HEAD and context is not None:
                found[name] = OF_HEAD[name](context.classifier.head)
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


class FeaturesAdapter(Adapter):
    """A detector of pytorch-ood that is fitted on penultimate features, and scores them.

    It is fitted on those of all training images at once. What it learns is what ``fit_features``
    changes about pytorch-ood's object: tensors, numbers and texts, which are kept under the names
    of its attributes. The rest is constructed again.

    Attributes:
        by_class: whether it learns something about each class, so that none may be missing.
    """

    needs = frozenset({Need.FEATURES})
    by_class: ClassVar[bool] = False

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit pytorch-ood's detector on the features and labels of the training images.

        Raises:
            PluginError: if a class has no training images, and the detector wants some of each.
        """
        features, labels = gather(train)
        if self.by_class:
            _check_classes(labels, train.num_classes)
        fitted = self.construct(context)
        before = dict(vars(fitted))
        fitted.fit_features(features, labels)
        now = vars(fitted)
        self._learned = [name for name in now if now[name] is not before.get(name)]
        self.fitted_ = fitted
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return pytorch-ood's outlier score of the features: (n,) float32 or float64."""
        scores: Tensor = self.fitted_.predict_features(batch.features)
        return scores

    def state(self) -> State:
        """Return what pytorch-ood's detector learned, by the names of its attributes.

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
        """Construct pytorch-ood's detector, and give it what it had learned."""
        import torch

        self.fitted_ = self.construct(context)
        self._learned = list(state)
        for name, value in state.items():
            on_device = value.to(context.device) if isinstance(value, torch.Tensor) else value
            setattr(self.fitted_, name, on_device)
        return self


def gather(train: Stream) -> tuple[Tensor, Tensor]:
    """Return the features (n, d) float32 and the labels (n,) int64 of all images of a stream."""
    import torch

    batches = list(train)
    features = torch.cat([batch.features for batch in batches])
    return features, torch.cat([batch.labels for batch in batches])


def _check_classes(labels: Tensor, num_classes: int) -> None:
    import torch

    missing = sorted(set(range(num_classes)) - set(torch.unique(labels).tolist()))
    if missing:
        raise PluginError(f"there are no training images of the classes {missing}")
