"""KL matching: the divergence from the typical posteriors of the classes."""

from __future__ import annotations

from typing import Self

from oodbench.contracts import Context, Info, Need, Paper, State, Stream
from oodbench_posthoc.adapter import FittedLogitsAdapter


class PosteriorMatching(FittedLogitsAdapter):
    """Score by how far the softmax is from the typical softmax of every class (KL matching).

    s(x) = min_y KL(p(x), d_y), where p(x) = softmax(f(x)) are the probabilities that the logits
    f(x) give, and d_y is their mean over the validation images that are predicted to be of class y.
    """

    original = "KLMatching"
    info = Info(
        name="klmatching",
        title="KL matching",
        summary="Large divergence of the softmax from the typical softmax of every class",
        paper=Paper(
            title="Scaling Out-of-Distribution Detection for Real-World Settings",
            authors="Hendrycks et al.",
            venue="ICML",
            year=2022,
            url="https://arxiv.org/abs/1911.11132",
        ),
    )
    fit_needs = frozenset({Need.VALIDATION})

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit on the logits of validation images."""
        return super().fit(context.validation, context)

    def state(self) -> State:
        """Return the "posteriors" (m, k) float64 of the m classes that are predicted at all."""
        import torch

        return {"posteriors": torch.stack(list(self.fitted_.dists.values()))}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        import torch

        posteriors = state["posteriors"]
        assert isinstance(posteriors, torch.Tensor)
        self.fitted_ = self.construct()
        for number, posterior in enumerate(posteriors.to(context.device)):
            parameter = torch.nn.Parameter(posterior, requires_grad=False)
            self.fitted_.dists[str(number)] = parameter
        return self
