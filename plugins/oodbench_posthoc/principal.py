"""The space in which the features of training images vary most, and what is outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import InvalidParameter, Stream

if TYPE_CHECKING:
    from torch import Tensor


FEWEST_PER_FEATURE = 10
"""Training images for each feature, below which a remark says that they are few."""


class LearnsVariances:
    """A detector that learns in which directions features hardly vary.

    From few images it learns directions in which just these hardly vary. Of 256 features, where
    the 95 % threshold of 2,000 training images accepts 78 % of ID test images under ViM, that of
    600 accepts 25 %.

    Attributes:
        learned_from: images that were learned from, and features of each; set by ``fit``.
    """

    learned_from: tuple[int, int]

    def remarks(self) -> list[str]:
        """Return that training images are few for so many features, if they are."""
        images, features = self.learned_from
        if images >= FEWEST_PER_FEATURE * features:
            return []
        return [
            f"Learned from {images:,} images of {features:,} features: other ID images are farther "
            "from these than they are from each other, and thresholds from training images reject "
            "more of them."
        ]


def principal_dimension(dimension: int | None, features: int) -> int:
    """Return the dimension of the principal space of so many features.

    Args:
        dimension: as asked for; None: as ViM's authors choose it, 1,000 for 2,048 features or more,
            512 for 768 or more, and half as many as there are features below.
        features: d.

    Raises:
        InvalidParameter: if that leaves nothing outside of the principal space.
    """
    if dimension is None:
        return 1000 if features >= 2048 else 512 if features >= 768 else features // 2
    if dimension >= features:
        raise InvalidParameter(
            f"dimension must be less than {features}, the number of features that this "
            f"classifier has, not {dimension}"
        )
    return dimension


def head_origin(head: Any) -> Tensor:
    """Return the features (d,) float64 that a linear head maps to logits of 0, as near to 0 as any.

    Where there are none, those that it maps to the smallest logits.
    """
    import torch

    from oodbench_posthoc.heads import linear

    head = linear(head)
    origin: Tensor = -torch.linalg.pinv(head.weight.double()) @ head.bias.double()
    return origin


def outside_of(train: Stream, origin: Tensor, dimension: int) -> Tensor:
    """Return the directions in which features vary least: (d, d - dimension) float64.

    Args:
        train: the images.
        origin: (d,) float64, about which they vary.
        dimension: number of directions in which they vary most, which are left out.
    """
    import torch

    squares = origin.new_zeros((len(origin), len(origin)))
    for batch in train:
        centred = batch.features.double() - origin
        squares.addmm_(centred.T, centred)
    vectors: Tensor = torch.linalg.eigh(squares).eigenvectors  # those that vary least come first
    return vectors[:, : len(origin) - dimension].contiguous()


def components_of(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances (d,) along the principal directions, from large to small, and these.

    Args:
        covariance: (d, d) float64.

    Returns:
        The variances, at least 0, and the directions as columns (d, d), float64.
    """
    import torch

    values, vectors = torch.linalg.eigh(covariance)
    return values.flip(0).clamp(min=0), vectors.flip(1)


def principal(covariance: Tensor, share: float) -> Tensor:
    """Return as few directions (d, m) as explain a share of the variance.

    Args:
        covariance: (d, d) float64; of squares that are not centred, their share is explained.
        share: in (0, 1).
    """
    variances, vectors = components_of(covariance)
    return vectors[:, : _count_explaining(variances, share)].contiguous()


def unexplained(covariance: Tensor, share: float) -> Tensor:
    """Return the directions (d, r) beyond those that explain a share of the variance.

    Args:
        covariance: (d, d) float64.
        share: in (0, 1); as few principal directions are left out as explain so much.
    """
    variances, vectors = components_of(covariance)
    return vectors[:, _count_explaining(variances, share) :].contiguous()


def _count_explaining(variances: Tensor, share: float) -> int:
    explained = variances.cumsum(0)
    return int((explained < share * explained[-1]).sum()) + 1
