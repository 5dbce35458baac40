"""Deep ensembles: the probabilities of classifiers that were trained from several seeds."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, PluginError, Stream

if TYPE_CHECKING:
    from torch import Tensor

PAPER = Paper(
    title="Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    authors="Lakshminarayanan et al.",
    venue="NeurIPS",
    year=2017,
    url="https://arxiv.org/abs/1612.01474",
)


class Ensemble(Detector):
    """A detector that scores by the probabilities of all classifiers of a run."""

    family = "ensemble"
    ensemble = True
    needs = frozenset({Need.LOGITS})

    def fit(self, train: Stream, context: Context) -> Self:
        """Count the classifiers.

        Raises:
            PluginError: if there is one alone.
        """
        self.classes_ = train.num_classes
        self.members_ = next(iter(train)).logits.shape[1] // train.num_classes
        if self.members_ < 2:
            raise PluginError("needs several classifiers: --classifier-seeds 3")
        return self

    def remarks(self) -> list[str]:
        """Return how many classifiers there are."""
        return [f"Of {self.members_} classifiers together, in the rows of the first."]

    def score(self, batch: Batch) -> Tensor:
        """Return what the classifiers together make of each image: (n,) float64.

        Raises:
            PluginError: if it is given the logits of fewer classifiers, or of more.
        """
        logits = batch.logits.double().unflatten(1, (-1, self.classes_))
        if logits.shape[1] != self.members_:
            raise PluginError(
                f"was fitted to {self.members_} classifiers and is given {logits.shape[1]}"
            )
        return self.judge(logits.log_softmax(dim=2))

    @abstractmethod
    def judge(self, log_probabilities: Tensor) -> Tensor:
        """Return the scores (n,) of logarithms of probabilities (n, s, k) of s classifiers."""


class MeanProbability(Ensemble):
    """Score by the mean probabilities of several classifiers (deep ensembles).

    s(x) = -max_y (p^1_y(x) + ... + p^s_y(x)) / s, where p^i(x) are the probabilities that the i-th
    classifier gives the classes.
    """

    info = Info(
        name="ensemble",
        title="Ensemble",
        summary="Low largest mean probability of classifiers trained from several seeds",
        paper=PAPER,
        deviations=("Classifiers are trained as any other, without adversarial images.",),
    )

    def judge(self, log_probabilities: Tensor) -> Tensor:
        """Return the negative of the largest mean probability: (n,)."""
        return -log_probabilities.exp().mean(dim=1).amax(dim=1)


class MutualInformation(Ensemble):
    """Score by how much several classifiers disagree: their mutual information.

    s(x) = H(m) - (H(p^1) + ... + H(p^s)) / s, where p^i are the probabilities that the i-th
    classifier gives the classes, m is their mean and H the entropy. It is computed as the mean of
    KL(p^i, m): equal classifiers give 0.
    """

    info = Info(
        name="ensemble-information",
        title="Ensemble MI",
        summary="High mutual information of classifiers trained from several seeds",
        paper=PAPER,
        deviations=(
            "The paper scores by the mean probabilities; the mutual information is that of later "
            "work on ensembles.",
            "Classifiers are trained as any other, without adversarial images.",
        ),
    )

    def judge(self, log_probabilities: Tensor) -> Tensor:
        """Return the mutual information of image and classifier, at least 0: (n,)."""
        probabilities = log_probabilities.exp()
        mean = probabilities.mean(dim=1, keepdim=True).clamp(min=1e-300)  # what is 0 weighs nothing
        divergences = (probabilities * (log_probabilities - mean.log())).sum(dim=2)
        return divergences.mean(dim=1).clamp(min=0)
