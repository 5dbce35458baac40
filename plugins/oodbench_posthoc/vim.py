"""ViM: a virtual logit for everything outside the space of the classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from oodbench.contracts import Context, Info, Need, Paper, State, Stream
from oodbench_posthoc.checks import check_count
from oodbench_posthoc.principal import LearnsVariances, outside_of, principal_dimension
from oodbench_posthoc.streamed import StreamedAdapter


class VirtualLogitMatching(LearnsVariances, StreamedAdapter):
    """Score by the distance of the features from the training images' space, against the logits.

    s(x) = a |z - P z| - log sum_y exp(f_y(x)), where z are the penultimate features about the
    origin that the head maps to equal logits, P projects them onto the principal space of the
    training images, and a scales what is left to the mean of the largest logit of the training
    images (ViM: equations 4 to 6 of the paper; this score orders images as the paper's, the
    softmax of the virtual logit, does).

    Args:
        dimension: of the principal space; None: as the authors' code chooses it, 1,000 for 2,048
            features or more, 512 for 768 or more, and half as many as there are features below.

    Raises:
        InvalidParameter: if it is less than 1.
    """

    original = "ViM"
    renamed: ClassVar = {"d": "dimension"}
    info = Info(
        name="vim",
        title="ViM",
        summary="Features outside the training images' space, against the energy of the logits",
        paper=Paper(
            title="ViM: Out-Of-Distribution with Virtual-logit Matching",
            authors="Wang et al.",
            venue="CVPR",
            year=2022,
            url="https://arxiv.org/abs/2203.10807",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    space: ClassVar = {"dimension": (16, 32, 64, 128, 256, 512)}

    def __init__(self, *, dimension: int | None = None) -> None:
        if dimension is not None:
            check_count("dimension", dimension)
        self.dimension = dimension

    def arguments(self, names: Iterable[str], context: Context | None) -> dict[str, Any]:
        """Return the arguments of pytorch-ood's constructor, the dimension among them.

        Raises:
            InvalidParameter: if that leaves nothing outside of the principal space.
        """
        found = super().arguments(names, context)
        found["d"] = principal_dimension(self.dimension, found["w"].shape[1])
        return found

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return what is outside of the principal space, and "alpha", a, in two passes.

        The former is "principal_subspace" (d, r) float32, as pytorch-ood calls it: the r directions
        in which training images vary least.
        """
        import torch

        original = self.construct(context)
        weights, bias, origin = (each.double() for each in (original.w, original.b, original.u))
        outside = outside_of(train, origin, original.d)
        logits = norms = torch.zeros((), dtype=torch.float64, device=origin.device)
        for batch in train:
            features = batch.features.double()
            logits = logits + (features @ weights.T + bias).amax(dim=1).sum()
            norms = norms + ((features - origin) @ outside).norm(dim=1).sum()
        self.learned_from = len(train), len(origin)
        return {"principal_subspace": outside.float(), "alpha": float(logits / norms)}
