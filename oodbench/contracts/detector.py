"""The contract of a detector, and of the parts that several detectors share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from oodbench.contracts.data import Batch, Context, Need, Stream
from oodbench.contracts.info import Info
from oodbench.contracts.layers import Layers
from oodbench.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench.contracts.training import DerivedClassifier

State: TypeAlias = "Mapping[str, Tensor | int | float | str]"
"""What a fit learned, by name."""

SHORTCUT = "shortcut"
"""The family of trivial statistics of images, which ``oodbench audit`` computes."""


class Trainable(ABC):
    """Something that is fitted on ID training images and then kept in the store.

    The constructor takes keyword-only parameters with defaults and stores them under their own
    names, unchanged; what ``fit`` learns goes into attributes that end in an underscore.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    """What ``score`` reads from a batch or the context."""

    fit_needs: ClassVar[frozenset[Need] | None] = None
    """What ``fit`` reads, beyond the labels; None: the same as `needs`, if there is a ``fit``."""

    reduced_by: ClassVar[frozenset[str] | None] = None
    """Names of the parameters that `reduce` depends on; None: all.

    Settings that differ in others share what `reduce` returned, as when one is tuned.
    """

    stochastic: ClassVar[bool] = False
    """Whether ``fit`` draws random numbers. If not, it is computed once for all seeds."""

    trained_by: ClassVar[type[DerivedClassifier] | None] = None
    """The way of training whose classifiers it scores, as it reads what that adds to the network.

    With ``Need.CLASSIFIER``; the conformance kit gives it such a classifier, and on others it
    raises `PluginError`. None: any classifier.
    """

    def parts(self) -> Mapping[str, Trainable]:
        """Return unfitted parts, to be fitted first and passed as ``context.parts``.

        Parts with equal class, parameters and inputs are fitted once, whoever asks for them: all
        detectors on one generator name the same generator here. A part draws with seed 0,
        whatever the seed of the detector, unless it is a detector itself: then with the same.
        """
        return {}

    def auxiliary(self) -> str | None:
        """Return the name of a data set whose training images ``fit`` learns from as well.

        They arrive as ``context.auxiliary``. A set of which a benchmark tests the same images is
        refused; that another split of it is tested belongs in the deviations.
        """
        return None

    def least_images(self) -> int:
        """Return how many training images ``fit`` needs at least, with these parameters.

        Of fewer, the fit fails with that reason, and tuning does not try these parameters.
        """
        return 1

    @classmethod
    def learns(cls) -> bool:
        """Return whether ``fit`` does anything."""
        return cls.fit is not Trainable.fit

    @classmethod
    def needs_to_fit(cls) -> frozenset[Need]:
        """Return what ``fit`` reads; nothing if there is nothing to learn."""
        if not cls.learns():
            return frozenset()
        return cls.needs if cls.fit_needs is None else cls.fit_needs

    def fit_images(self) -> int | None:
        """Return how many training images ``fit`` reads, with ``Need.LAYERS``; None: all.

        They are drawn by seed, as many of each class as of any other where there are so many.
        """
        return None

    def reduce(self, layers: Layers) -> Tensor:
        """Return a few figures of each image, made of the outputs of the classifier's layers.

        With ``Need.LAYERS``, this is called in the pass that all detectors share, before anything
        was learned: the result depends on parameters alone. It is kept for each image, and
        ``fit`` and ``score`` read it as ``batch.reduced``.

        Args:
            layers: of some images.

        Returns:
            (n, r) finite numbers of any dtype; the row of an image must not depend on the others.

        Raises:
            PluginError: in one sentence, if the detector cannot work on such layers.
        """
        raise NotImplementedError

    def differentiated(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return what ``Need.LAYER_GRADIENTS`` are the gradients of, one number an image: (n,).

        Args:
            features: (n, d) float32.
            logits: (n, k) float32.
        """
        raise NotImplementedError

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn from ID training images and return self.

        Args:
            train: the ID training images, holding what `needs` names.
            context: device, seed, classifier, fitted parts.
        """
        return self

    def remarks(self) -> Sequence[str]:
        """Return what readers of the tables should know about the fitted object.

        One sentence each, such as that the features do not have the form that a paper assumes.
        It is called after ``fit``, and shown as a footnote of the detector's rows.
        """
        return ()

    def state(self) -> State:
        """Return what ``fit`` learned, for `restore`.

        By default every attribute that ends in an underscore. Override both when that includes
        modules or other objects.

        Raises:
            PluginError: if such an attribute is neither tensor, array, number nor string.
        """
        import numpy as np
        import torch

        state: dict[str, Any] = {}
        for name, value in vars(self).items():
            if not name.endswith("_") or name.startswith("_"):
                continue
            if isinstance(value, np.ndarray):
                value = torch.from_numpy(value)
            if not isinstance(value, torch.Tensor | int | float | str):
                raise PluginError(
                    f"{type(self).__name__}.{name} is a {type(value).__name__}; "
                    "override state() and restore() to keep it"
                )
            state[name] = value
        return state

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned, onto ``context.device``, and return self."""
        import torch

        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                value = value.to(context.device)
            setattr(self, name, value)
        return self


class Detector(Trainable):
    """A method that tells in-distribution (ID) from out-of-distribution (OOD) images.

    A subclass sets `info`, `needs` and, if it learns, ``fit``; it always defines `score`.
    """

    info: ClassVar[Info]

    space: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Values of parameters worth trying, by parameter name; used by tuning."""

    ensemble: ClassVar[bool] = False
    """Whether it scores by all classifiers of a run (``--classifier-seeds``) in place of each.

    ``batch.logits`` then holds the logits of s classifiers side by side, (n, s k), which must be
    all that it needs.
    """

    family: ClassVar[str] = ""
    """What kind of detector it is: ``--detectors all-posthoc`` asks for the family "posthoc"."""

    def without_classifier(self) -> Detector | None:
        """Return the detector to use in its place where there is no classifier.

        A detector that reads a classifier's outputs may have one that reads images; its parameters
        are the same, and its deviations say so. By default there is none.
        """
        return None

    @abstractmethod
    def score(self, batch: Batch) -> Tensor:
        """Return one score for each image: (n,) float; larger = more likely OOD.

        The score of an image must not depend on the other images of the batch, and every score
        must be finite.
        """


def parameters(plugin: object) -> dict[str, Any]:
    """Return the constructor parameters of a plugin object, as stored on it.

    Raises:
        PluginError: if the constructor takes positional or variable parameters, or did not store
            one of its parameters under its own name.
    """
    values = {}
    for name, parameter in inspect.signature(type(plugin)).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise PluginError(f"{type(plugin).__name__}({name}) must be a keyword-only parameter")
        if not hasattr(plugin, name):
            raise PluginError(f"{type(plugin).__name__} does not store its parameter '{name}'")
        values[name] = getattr(plugin, name)
    return values


def require_images(trainable: Trainable, images: int) -> None:
    """Raise an error if there are too few training images for the parameters of ``trainable``.

    Raises:
        PluginError: saying how many it needs.
    """
    least = trainable.least_images()
    if images < least:
        raise PluginError(f"needs at least {least:,} training images, and there are {images:,}")
