"""GradOrth: the gradient of the head within the space of ID features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, Stream
from oodbench_posthoc.checks import check_share
from oodbench_posthoc.principal import principal

if TYPE_CHECKING:
    from torch import Tensor


class OrthogonalGradients(Detector):
    """Score by how short the gradient of the head is within the space of ID features (GradOrth).

    s(x) = -|dL / dW P|_F, where L is the cross-entropy between the uniform distribution and
    softmax(f(x)), f(x) are the logits, W the weights of the head, and P projects onto as few
    principal directions of the training images' features, not centred, as hold a share of their
    squared length. Since dL / dW = (p - 1/k) z', that is -|p - 1/k| |P z|, where p = softmax(f(x))
    and z are the penultimate features.

    Args:
        explained: that share, in (0, 1).

    Raises:
        InvalidParameter: if it is outside of (0, 1).
    """

    family = "posthoc"
    needs = frozenset({Need.FEATURES, Need.LOGITS})
    fit_needs = frozenset({Need.FEATURES})
    info = Info(
        name="gradorth",
        title="GradOrth (after)",
        summary="Short gradient of the head's weights within the principal space of ID features",
        paper=Paper(
            title="GradOrth: A Simple yet Efficient Out-of-Distribution Detection with Orthogonal "
            "Projection of Gradients",
            authors="Behpour et al.",
            venue="NeurIPS",
            year=2023,
            url="https://openreview.net/forum?id=L9nTuSbAws",
        ),
        deviations=(
            "Written from descriptions of the paper, whose code is not published: the loss is "
            "taken to be GradNorm's, the norm Frobenius's, and the share of the space 0.97.",
        ),
    )
    space: ClassVar = {"explained": (0.8, 0.9, 0.95, 0.97, 0.99, 0.999)}

    def __init__(self, *, explained: float = 0.97) -> None:
        check_share("explained", explained)
        self.explained = explained

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the principal space of the features, batch by batch."""
        squares: Any = sum(batch.features.double().T @ batch.features.double() for batch in train)
        self.space_ = principal(squares, self.explained)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the negative length of the projected gradient: (n,) float64."""
        probabilities = batch.logits.double().softmax(dim=1)
        of_logits = (probabilities - 1 / probabilities.shape[1]).norm(dim=1)
        within = (batch.features.double() @ self.space_).norm(dim=1)
        lengths: Tensor = of_logits * within
        return -lengths
