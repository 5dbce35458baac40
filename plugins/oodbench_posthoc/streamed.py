"""Statistics of features in a stream, so that all of them are never in memory at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, State, Stream
from oodbench_posthoc.adapter import FeaturesAdapter, check_classes
from oodbench_posthoc.memory import check_memory

if TYPE_CHECKING:
    from torch import Tensor


class StreamedAdapter(FeaturesAdapter):
    """A detector of pytorch-ood whose fit needs only sums over the training images.

    Few features are handed to pytorch-ood at once: what it learns is then its own to the last
    digit, which matters where float32 makes a covariance or its inverse inexact. Of more, the same
    is computed from sums in float64, for which a batch at a time is read.

    Attributes:
        at_once: bytes that features take up at most if pytorch-ood is to be given all of them.
    """

    at_once: ClassVar[int] = 2**28

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit on features, at once or batch by batch.

        Raises:
            PluginError: if a class has no training images, and the detector wants some of each;
                if what it learns does not fit into memory.
        """
        first = next(iter(train)).features
        if len(train) * first[0].nbytes <= self.at_once:
            return super().fit(train, context)
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

        mean = sum(batch.features.double().sum(dim=0) for batch in train) / len(train)
        assert isinstance(mean, torch.Tensor)
        nobody = torch.zeros(1, dtype=torch.int64, device=mean.device)
        return self.fit_values(mean.float()[None], nobody, context)


@dataclass(frozen=True)
class Moments:
    """Numbers, means and scatter of the features of k classes, float64.

    Attributes:
        counts: (k,), images of each class.
        means: (k, d), of each class.
        within: (d, d), sum over all images of (z - m_y)(z - m_y)', y being the class of z.
        mean: (d,), of all images.
        total: (d, d), sum over all images of (z - mean)(z - mean)'.
    """

    counts: Tensor
    means: Tensor
    within: Tensor
    mean: Tensor
    total: Tensor


def moments_of(train: Stream) -> Moments:
    """Return the moments of the features of a stream, in one pass.

    They are summed up about the mean of the first batch, so that little cancels out when the means
    are subtracted (Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", The
    American Statistician 1983, section 3).

    Raises:
        PluginError: if a class has no images.
    """
    import torch

    first = next(iter(train)).features.double()
    shift = first.mean(dim=0)
    sums = first.new_zeros((train.num_classes, len(shift)))
    squares = first.new_zeros((len(shift), len(shift)))
    # Nothing small may be kept of a batch: it would split the memory that the next one could take.
    counts = torch.zeros(train.num_classes, dtype=torch.int64, device=first.device)
    for batch in train:
        shifted = batch.features.double() - shift
        sums.index_add_(0, batch.labels, shifted)
        squares.addmm_(shifted.T, shifted)
        counts += torch.bincount(batch.labels, minlength=train.num_classes)
    check_classes(counts.nonzero()[:, 0], train.num_classes)
    means, mean = sums / counts[:, None], sums.sum(dim=0) / len(train)
    return Moments(
        counts.double(),
        means + shift,
        squares - sums.T @ means,
        mean + shift,
        squares - len(train) * torch.outer(mean, mean),
    )


def inverse_of(scatter: Tensor) -> dict[str, Tensor]:
    """Return pytorch-ood's covariance and its inverse: (d, d) float32 each.

    Args:
        scatter: (d, d) float64; 1e-6 is added to its diagonal, as pytorch-ood does.
    """
    import torch

    covariance = scatter + 1e-6 * torch.eye(
        len(scatter), dtype=scatter.dtype, device=scatter.device
    )
    return {"cov": covariance.float(), "precision": torch.linalg.inv(covariance).float()}


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
