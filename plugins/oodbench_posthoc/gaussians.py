"""Gaussians of classes that share a covariance, fitted in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Stream

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Gaussians:
    """Gaussians in a space where their common covariance is the identity.

    Directions in which the covariance is 0 are left out of that space, which makes a squared
    distance there (z - m)' S^+ (z - m) with the pseudo-inverse S^+: a feature that never varies
    has no weight. Squared distances are taken in that space and cut off at 0, so that none is
    negative, however badly conditioned the covariance is.

    Attributes:
        origin: (d,) float64, the mean of all images.
        whitening: (d, r) float64, maps deviations from the origin to that space.
        means: (k, r) float64, the means of the Gaussians there.
    """

    origin: Tensor
    whitening: Tensor
    means: Tensor

    def distances(self, values: Tensor) -> Tensor:
        """Return the squared distances of values (n, d) to each mean: (n, k) float64."""
        whitened = (values.double() - self.origin) @ self.whitening
        own = whitened.square().sum(dim=1, keepdim=True)
        others = self.means.square().sum(dim=1)
        return (own + others - 2 * whitened @ self.means.T).clamp(min=0)


@dataclass(frozen=True)
class Moments:
    """Means and covariances of the values of the k classes that have images, float64.

    Attributes:
        means: (k, d), of each class.
        within: (d, d), mean over all images of (z - m_y)(z - m_y)', y being the class of z.
        mean: (d,), of all images.
        total: (d, d), mean over all images of (z - mean)(z - mean)'.
    """

    means: Tensor
    within: Tensor
    mean: Tensor
    total: Tensor

    def of_classes(self) -> Gaussians:
        """Return a Gaussian for each class, with the covariance about the classes' means."""
        whitening = whitening_of(self.within)
        return Gaussians(self.mean, whitening, (self.means - self.mean) @ whitening)

    def of_all(self) -> Gaussians:
        """Return one Gaussian for all images."""
        whitening = whitening_of(self.total)
        return Gaussians(self.mean, whitening, self.mean.new_zeros((1, whitening.shape[1])))


@dataclass(frozen=True)
class Values:
    """One kind of values of a stream, batch by batch.

    Attributes:
        train: the stream.
        read: returns the values of a batch: (n, d).
    """

    train: Stream
    read: Callable[[Batch], Tensor]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the values (n, d) and labels (n,) of each batch."""
        for batch in self.train:
            yield self.read(batch), batch.labels


@dataclass(frozen=True)
class Together(Values):
    """The same values, all images being of class 0."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the values (n, d) and zeros (n,) for each batch."""
        import torch

        for values, labels in super().__iter__():
            yield values, torch.zeros_like(labels)


def moments_of(values: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> Moments:
    """Return the moments of values that arrive in batches, in two passes.

    The second pass sums up squares of deviations from the means, so that nothing cancels out.

    Args:
        values: the values (n, d) and labels (n,) of batches; iterated twice.
        num_classes: number of classes that labels may be of; of those without images, there is no
            mean.
    """
    sums, counts = _sums_of(values, num_classes)
    shares = counts.double() / counts.sum()
    means = sums / counts.clamp(min=1)[:, None]
    mean = shares @ means
    within = means.new_zeros((means.shape[1], means.shape[1]))
    for batch, labels in values:
        deviations = batch.double() - means[labels]
        within.addmm_(deviations.T, deviations)
    within /= counts.sum()
    apart = (means - mean) * shares.sqrt()[:, None]
    return Moments(means[counts > 0], within, mean, within + apart.T @ apart)


def means_of(values: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> Tensor:
    """Return the mean of each class that has images: (k, d) float64.

    Args:
        values: the values (n, d) and labels (n,) of batches.
        num_classes: number of classes that labels may be of.
    """
    sums, counts = _sums_of(values, num_classes)
    return sums[counts > 0] / counts[counts > 0][:, None]


def _sums_of(values: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> tuple[Tensor, Tensor]:
    """Return the sum of each class, (k, d) float64, and its number of images, (k,) int64."""
    import torch

    # Nothing small may be kept of a batch: it would split the memory that the next one could take.
    sums = counts = torch.zeros(())
    for number, (batch, labels) in enumerate(values):
        if number == 0:
            sums = batch.new_zeros((num_classes, batch.shape[1]), dtype=torch.float64)
            counts = torch.zeros(num_classes, dtype=torch.int64, device=batch.device)
        sums.index_add_(0, labels, batch.double())
        counts += torch.bincount(labels, minlength=num_classes)
    return sums, counts


def whitening_of(covariance: Tensor) -> Tensor:
    """Return W (d, r) with W W' = S^+, the pseudo-inverse of a covariance S (d, d) of rank r.

    Eigenvalues count as 0 up to d times the largest, times the precision of float64.
    """
    import torch

    values, vectors = torch.linalg.eigh(covariance)
    smallest = len(values) * torch.finfo(values.dtype).eps * values[-1]
    kept = values > smallest
    whitening: Tensor = vectors[:, kept] / values[kept].sqrt()
    return whitening
