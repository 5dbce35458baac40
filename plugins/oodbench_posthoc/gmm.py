"""GMM: the likelihood under one Gaussian for each class."""

from __future__ import annotations

from typing import ClassVar, Self

from oodbench.contracts import Context, Info, PluginError, State, Stream
from oodbench_posthoc.checks import check_positive
from oodbench_posthoc.memory import check_memory
from oodbench_posthoc.principal import LearnsVariances
from oodbench_posthoc.streamed import StreamedAdapter


class ClassGaussians(LearnsVariances, StreamedAdapter):
    """Score by how unlikely the features are under one Gaussian for each class.

    s(x) = -log sum_y p_y N(z; m_y, S_y), where z are the penultimate features, and p_y, m_y and S_y
    are the share, the mean and the covariance of the training images of class y.

    Args:
        regularization: added to the diagonals of the covariances; greater than 0.

    Raises:
        InvalidParameter: if it is not a number greater than 0.
    """

    original = "GMM"
    renamed: ClassVar = {"reg": "regularization"}
    info = Info(
        name="gmm",
        title="GMM",
        summary="Low likelihood of the features under a Gaussian for each class",
        deviations=("OpenOOD's method of this name fits mixtures to several layers.",),
    )

    def __init__(self, *, regularization: float = 1e-6) -> None:
        check_positive("regularization", regularization)
        self.regularization = regularization

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit a Gaussian to each class.

        Raises:
            PluginError: if the covariance of a class is not positive definite; if covariances do
                not fit into memory.
        """
        features = next(iter(train)).features
        covariances = 8 * train.num_classes * features.shape[1] ** 2
        check_memory(3 * covariances, len(train), features.device)
        return super().fit(train, context)

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return what describes the Gaussians: means (k, d), inverse covariances and the rest."""
        import torch

        k, first = train.num_classes, next(iter(train)).features.double()
        shift, d = first.mean(dim=0), first.shape[1]
        counts, sums, squares = (first.new_zeros(shape) for shape in ((k,), (k, d), (k, d, d)))
        for batch in train:
            shifted = batch.features.double() - shift
            for number in batch.labels.unique():
                members = shifted[batch.labels == number]
                counts[number] += len(members)
                sums[number] += members.sum(dim=0)
                squares[number].addmm_(members.T, members)
        seen = counts > 0
        counts, squares, means = counts[seen], squares[seen], sums[seen] / counts[seen, None]
        for number in range(len(means)):
            squares[number] /= counts[number]
            squares[number] -= torch.outer(means[number], means[number])
            squares[number].diagonal().add_(self.regularization)
        factors, failed = torch.linalg.cholesky_ex(squares)
        if failed.any():
            raise PluginError(
                f"the covariance of class {int(seen.nonzero()[failed > 0][0])} is not positive "
                f"definite; increase regularization, which is {self.regularization}"
            )
        self.learned_from = len(train) // len(means), d  # each class has a covariance of its own
        return {
            "_mu": means + shift,
            "_precision": torch.cholesky_inverse(factors),
            "_log_det": 2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1),
            "_log_weights": (counts / len(train)).log(),
        }
