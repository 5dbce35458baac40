"""Statistics of features in a stream, so that all of them are never in memory at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, State, Stream
from oodbench_posthoc.adapter import FeaturesAdapter, gather
from oodbench_posthoc.memory import check_memory

if TYPE_CHECKING:
    from torch import Tensor


class StreamedAdapter(FeaturesAdapter):
    """A detector of pytorch-ood whose fit needs only sums over the training images.

    They are computed in float64, for which a batch at a time is read.
    """

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit on features, batch by batch.

        Raises:
            PluginError: if what it learns does not fit into memory.
        """
        return self.restore(self.learn_from_stream(train, context), context)

    @abstractmethod
    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return what pytorch-ood's detector would learn, by the names of its attributes."""


class MeanAdapter(FeaturesAdapter):
    """A detector of pytorch-ood that learns only the mean of the training images' features.

    To it, their mean in place of all of them is the same.
    """

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit on the mean of the features, summed up in float64."""
        import torch

        mean = mean_of_features(train)
        nobody = torch.zeros(1, dtype=torch.int64, device=mean.device)
        return self.fit_values(mean[None], nobody, context)


def mean_of_features(train: Stream) -> Tensor:
    """Return the mean of the features of a stream, summed up in float64: (d,) float32."""
    import torch

    mean = sum(batch.features.double().sum(dim=0) for batch in train) / len(train)
    assert isinstance(mean, torch.Tensor)
    return mean.float()


def gather_features(train: Stream) -> Tensor:
    """Return the features of all images of a stream: (n, d) float32.

    Raises:
        PluginError: if there is too little memory for them and a copy, before any is taken.
    """
    return gather(train, lambda batch: batch.features, copies=1.0)[0]


def gather_rows(train: Stream, read: Callable[[Batch], Tensor], kept: Tensor) -> Tensor:
    """Return one kind of values of some images of a stream, without holding more in memory.

    Args:
        train: the images.
        read: returns it of a batch, (n, ...).
        kept: (m,) int64, the positions of the images, in order.

    Returns:
        (m, ...).

    Raises:
        PluginError: if there is too little memory, before any is taken.
    """
    first = read(next(iter(train)))
    check_memory(len(kept) * first[0].nbytes, len(kept), first.device)
    rows = first.new_empty((len(kept), *first.shape[1:]))
    done = filled = 0
    for batch in train:
        end = filled + int((kept[filled : filled + len(batch)] < done + len(batch)).sum())
        chosen = (kept[filled:end] - done).to(rows.device)
        rows[filled:end] = read(batch)[chosen]
        done, filled = done + len(batch), end
    return rows
