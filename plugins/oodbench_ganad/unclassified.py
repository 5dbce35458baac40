"""GANAD where there is no classifier to tailor it for: all images are of one class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from oodbench.contracts import Batch, Context, Info, Need, State, Stream, parameters
from oodbench_ganad.detector import Ganad
from oodbench_ganad.gan import Wgan
from oodbench_ganad.variants import GanadReal


class OneClass(nn.Module):
    """Sees one class in all images."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits that are 0: (n, 1)."""
        return images.new_zeros((len(images), 1))


class OneClassStream(Stream):
    """The images of a stream, all of class 0.

    Args:
        images: the stream.
    """

    num_classes = 1

    def __init__(self, images: Stream) -> None:
        self._images = images
        self.shape = images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Batch]:
        return map(of_one_class, self._images)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield one epoch of full batches in random order."""
        return map(of_one_class, self._images.shuffled(batch_size, generator))


def of_one_class(batch: Batch) -> Batch:
    """Return the images of a batch with the label 0 and the logits of `OneClass`."""
    inputs = batch.inputs
    return Batch(torch.zeros_like(batch.labels), inputs=inputs, logits=OneClass()(inputs))


def unclassified(context: Context) -> Context:
    """Return a context whose classifier is `OneClass`."""
    return context.with_classifier(OneClass(), num_classes=1)


class UnclassifiedWgan(Wgan):
    """A WGAN-GP of one class: equation (2) without the classifier's term, which is 0."""

    needs = frozenset({Need.INPUTS})

    def fit(self, train: Stream, context: Context) -> Self:
        """Train generator and critic."""
        return super().fit(OneClassStream(train), unclassified(context))

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild both networks and load their weights."""
        return super().restore(state, unclassified(context))


class _Unclassified(Ganad):
    """GANAD, or a variant, of one class."""

    needs = frozenset({Need.INPUTS})
    generator = UnclassifiedWgan

    def fit(self, train: Stream, context: Context) -> Self:
        """Train AD."""
        return super().fit(train, unclassified(context))

    def score(self, batch: Batch) -> Tensor:
        """Return -AD(x), computed in float32: (n,)."""
        return super().score(of_one_class(batch))

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild AD and load its weights."""
        return super().restore(state, unclassified(context))


def _info(info: Info) -> Info:
    said = (
        "Without a classifier there is nothing to tailor: generator, critic and AD know one class, "
        "and the generator learns from its critic alone. What is left is the paper's idea that "
        "seeds with too large a norm make near anomalies."
    )
    return replace(info, deviations=(*info.deviations, said))


class _Ganad(_Unclassified):
    info = _info(Ganad.info)
    fit_needs = frozenset()


class _GanadReal(_Unclassified, GanadReal):
    info = _info(GanadReal.info)
    fit_needs = frozenset({Need.INPUTS})


_OF_ONE_CLASS: dict[type[Ganad], type[_Unclassified]] = {Ganad: _Ganad, GanadReal: _GanadReal}


def without_classifier(detector: Ganad) -> _Unclassified | None:
    """Return the same detector of one class; None for a variant that has none."""
    cls = _OF_ONE_CLASS.get(type(detector))
    return None if cls is None else cls(**parameters(detector))
