"""pNML: the regret of predictive normalised maximum likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import Context, Info, Need, Paper, State, Stream
from oodbench_posthoc.principal import LearnsVariances
from oodbench_posthoc.streamed import StreamedAdapter

if TYPE_CHECKING:
    from torch import Tensor


class LikelihoodRegret(LearnsVariances, StreamedAdapter):
    """Score by the regret against a learner that knew the true class (pNML).

    s(x) = log sum_y p_y / (p_y + (1 - p_y) p_y^g) / log k, with g = q / (1 + q) and
    q = z' (X'X)^+ z, where z are the penultimate features scaled to length 1, X those of the
    training images, and p = softmax(head(z)) the probabilities of the k classes.
    """

    original = "PNML"
    info = Info(
        name="pnml",
        title="pNML",
        summary="Large regret of the head in directions that the training images do not determine",
        paper=Paper(
            title="Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution "
            "Detection",
            authors="Bibas et al.",
            venue="NeurIPS",
            year=2021,
            url="https://arxiv.org/abs/2110.09246",
        ),
        deviations=("The head is given features of length 1, its bias as it is (pytorch-ood).",),
    )
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})

    def learn_from_stream(self, train: Stream, context: Context) -> State:
        """Return "_feature_projector", (X'X)^+: (d, d) float32."""
        import torch
        from torch.nn.functional import normalize

        first = next(iter(train)).features
        products = first.new_zeros((first.shape[1], first.shape[1]), dtype=torch.float64)
        for batch in train:
            directions = normalize(batch.features.double(), dim=1)
            products.addmm_(directions.T, directions)
        # what pytorch-ood's float32 takes for 0 counts as 0
        smallest = len(products) * torch.finfo(torch.float32).eps
        inverse = torch.linalg.pinv(products, rtol=smallest, hermitian=True)
        self.learned_from = len(train), len(products)
        return {"_feature_projector": inverse.float()}

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score features (n, d)."""
        scores = super().judge(original, values)
        original._log_num_classes = None  # log k, which pytorch-ood keeps from the first batch
        return scores
