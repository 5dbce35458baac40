"""Rotation prediction: a classifier that also learns by how much an image was turned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import (
    Batch,
    Context,
    DerivedClassifier,
    Detector,
    Info,
    InvalidParameter,
    Need,
    Paper,
    PluginError,
    State,
    Stream,
    TrainingStep,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = Paper(
    title="Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
    authors="Hendrycks et al.",
    venue="NeurIPS",
    year=2019,
    url="https://arxiv.org/abs/1906.12340",
)

TURNS = 4
"""Rotations by 0, 90, 180 and 270 degrees."""


class RotPred(DerivedClassifier):
    """Add to the cross-entropy of the classes that of four rotations.

    Each image x is turned by r = 0, 90, 180 and 270 degrees, R_r(x). With logits f(x) of the
    classes, and logits g(x) of the rotations by a second linear layer on the same features, a step
    minimises

        mean (cross-entropy of f(x) with y + weight * mean over r cross-entropy of g(R_r(x)) with r)

    The second layer stays, as ``rotation``. Made for the detector ``rotation``.

    Args:
        network: name of the classifier that is trained so.
        weight: of the rotations.

    Raises:
        InvalidParameter: if the weight is negative.
    """

    info = Info(
        name="rotpred",
        title="RotPred",
        summary="RotPred: another classifier that also learns to predict rotations.",
        paper=PAPER,
        deviations=(
            "Trained by the recipe of the network.",
            "Images are turned after they were augmented; all four pass in one batch.",
        ),
    )

    def __init__(self, *, network: str = "preact-resnet", weight: float = 1.0) -> None:
        if weight < 0:
            raise InvalidParameter(f"weight must be at least 0, not {weight}")
        self.network = network
        self.weight = weight

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new network of the other classifier, with a layer that predicts rotations.

        Raises:
            InvalidParameter: if images are not square, since their rotations have another shape.
        """
        from torch import nn

        from oodbench_training.networks import count_features

        if shape[1] != shape[2]:
            raise InvalidParameter(f"rotpred needs square images, not {shape[1]}x{shape[2]}")
        module = super().build(shape, num_classes)
        module.add_module("rotation", nn.Linear(count_features(module, shape), TURNS))
        return module

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss of classes and rotations, and the logits of the classes."""
        import torch
        from torch.nn import functional

        images = self.augment(step.images, step.generator)
        features = step.features(torch.cat([images, *turned(images)]))
        module: Any = step.module
        logits: Tensor = module.head(features[: len(images)])
        turns = torch.arange(TURNS, device=images.device).repeat_interleave(len(images))
        rotations = functional.cross_entropy(module.rotation(features), turns)
        return self.loss(logits, step.labels, step.done) + self.weight * rotations, logits


def turned(images: Tensor) -> list[Tensor]:
    """Return square images (n, c, s, s), turned by 90, 180 and 270 degrees."""
    return [images.rot90(turns, (2, 3)) for turns in range(1, TURNS)]


class Rotation(Detector):
    """Score by how badly rotations are predicted, and how near to uniform the softmax is.

    With the softmax p of k classes, the uniform distribution u, and the softmax q of rotations by
    a classifier that was trained by ``rotpred``,

        s(x) = -KL(u || p(x)) - mean over r log q(R_r(x))_r

    (section 4 of the paper).
    """

    info = Info(
        name="rotation",
        title="Rotation",
        summary="How badly rotations are predicted, by a classifier trained by rotpred.",
        paper=PAPER,
        deviations=("Natural logarithms, where the authors' code takes them to base 2.",),
    )
    needs = frozenset({Need.INPUTS, Need.LOGITS, Need.FEATURES, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})
    trained_by = RotPred

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the classifier."""
        return self.restore({}, context)

    def state(self) -> State:
        """Return nothing: all was learned by the classifier."""
        return {}

    def restore(self, state: State, context: Context) -> Self:
        """Take the classifier.

        Raises:
            PluginError: if it does not predict rotations.
        """
        classifier: Any = context.classifier
        if not hasattr(classifier, "rotation"):
            raise PluginError(
                "scores by predicted rotations, and this classifier was not trained to predict "
                "them; name it after rotpred, as --classifier rotpred/resnet18"
            )
        self._classifier = classifier
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return -KL + mean cross-entropy: (n,) float64."""
        logits = [self._classifier.rotation(batch.features)]
        for images in turned(batch.inputs):
            logits.append(self._classifier.rotation(self._classifier.features(images).float()))
        wrong: Any = 0
        for turns, each in enumerate(logits):
            wrong = wrong - each.double().log_softmax(dim=1)[:, turns] / TURNS
        classes = batch.logits.double().log_softmax(dim=1)
        scores: Tensor = math.log(classes.shape[1]) + classes.mean(dim=1) + wrong
        return scores
