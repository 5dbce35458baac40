"""A counter of the images that pass through a classifier, whatever code calls it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

from torch import nn


class Forwards:
    """Counts the images that pass through a classifier from now on.

    A pass counts once, whether the classifier is called or its ``features``, which it may call
    itself; and so does a pass through a copy of the classifier.

    Args:
        classifier: the module, as `oodbench.contracts.Classifier.build` returns it; None counts
            nothing.

    Attributes:
        images: images that have passed so far.
    """

    def __init__(self, classifier: nn.Module | None) -> None:
        self.images = 0
        self._within = False
        if classifier is None:
            return
        self._watch(classifier, "forward")
        features = classifier.features
        if isinstance(features, nn.Module):
            self._watch(features, "forward")
        else:
            self._watch(classifier, "features")

    def _watch(self, module: nn.Module, name: str) -> None:
        method: Callable[..., Any] = getattr(type(module), name)

        @functools.wraps(method)
        def counted(owner: nn.Module, images: Any, *others: Any, **named: Any) -> Any:
            outermost, self._within = not self._within, True
            try:
                return method(owner, images, *others, **named)
            finally:
                if outermost:
                    self._within = False
                    self.images += len(images)

        # Where the module is copied, a method is bound to the copy, and a function is not.
        setattr(module, name, MethodType(counted, module))
