"""fDBD: the distance to the decision boundaries."""

from __future__ import annotations

from typing import Any

from oodbench.contracts import Context, Info, Need, Paper, State, Stream
from oodbench_posthoc.streamed import StreamedAdapter, mean_of_features


class BoundaryDistance(StreamedAdapter):
    """Score by how near the features are to the decision boundaries of the head (fDBD).

    s(x) = -mean over c != y of |f_y(x) - f_c(x)| / (|w_y - w_c| |z - m|), where z are the
    penultimate features, m their mean over the training images, f(x) the logits, y the predicted
    class and w_c the weights of the head for class c.
    """

    original = "fDBD"
    info = Info(
        name="fdbd",
        title="fDBD",
        summary="Features near the decision boundaries, relative to their distance to the mean",
        paper=Paper(
            title="Fast Decision Boundary based Out-of-Distribution Detector",
            authors="Liu and Qin",
            venue="ICML",
            year=2024,
            url="https://arxiv.org/abs/2312.11536",
        ),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return the mean of the features, and "_denom_matrix" (k, k), the distances |w_y - w_c|.

        On its diagonal is 1, as in pytorch-ood, which computes all differences (k, k, d) at once:
        7 GB for 1,000 classes and 1,280 features.
        """
        import torch

        head: Any = context.classifier.head
        weights = head.weight.detach()
        apart = torch.cdist(weights, weights, compute_mode="donot_use_mm_for_euclid_dist")
        return {"train_mean": mean_of_features(train), "_denom_matrix": apart.fill_diagonal_(1.0)}
