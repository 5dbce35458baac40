"""VOS: training a gap between the energies of ID features and of unlikely draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import DerivedClassifier, Info, InvalidParameter, Paper, TrainingStep

if TYPE_CHECKING:
    from torch import Tensor, nn


class VirtualOutliers(DerivedClassifier):
    """Add to the cross-entropy that of telling ID features from virtual outliers by their energy.

    The last ``kept`` features of each class give a normal distribution: its mean m_c, and the
    covariance S of all classes about their means, plus 0.0001 on the diagonal. The virtual outlier
    of a class is the least likely of ``candidates`` draws from it (section 3.1 of the paper). With
    logits f and learned weights w of the classes, the energy of a feature is

        -E = log sum_c max(w_c, 0) exp f_c,

    and from a share ``start`` of the steps on a step minimises (section 3.2)

        cross-entropy + weight * cross-entropy of g(-E) with ID or outlier

    over the images of the batch and one outlier of each class, where g is a logistic regression.
    Made for the detector ``energy``, by which the authors' code scores a classifier: w and g serve
    the training alone.

    Args:
        network: name of the classifier that is trained so.
        weight: of telling ID from outliers.
        start: share of the steps before outliers are drawn.
        kept: features kept of each class.
        candidates: draws of which the least likely one is taken.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    info = Info(
        name="vos",
        title="VOS",
        summary="VOS: another classifier, trained for a gap in energy to virtual outliers.",
        paper=Paper(
            title="VOS: Learning What You Don't Know by Virtual Outlier Synthesis",
            authors="Du et al.",
            venue="ICLR",
            year=2022,
            url="https://arxiv.org/abs/2202.01197",
        ),
        deviations=(
            "Trained by the recipe of the network.",
            "Outliers are drawn of those features that are kept at the start; the authors wait "
            "until as many as can be are kept of every class.",
        ),
    )

    def __init__(
        self,
        *,
        network: str = "preact-resnet",
        weight: float = 0.1,
        start: float = 0.4,
        kept: int = 1000,
        candidates: int = 10_000,
    ) -> None:
        if weight < 0 or not 0 <= start < 1 or min(kept, candidates) < 1:
            raise InvalidParameter(
                f"weight={weight}, start={start}, kept={kept}, candidates={candidates}: weight "
                "must be at least 0, start in [0, 1), kept and candidates at least 1"
            )
        self.network = network
        self.weight = weight
        self.start = start
        self.kept = kept
        self.candidates = candidates

    def begin(self, module: nn.Module, shape: tuple[int, int, int], num_classes: int) -> None:
        """Add the kept features, the weights w and the regression g."""
        from oodbench_training.networks import count_features
        from oodbench_training.outliers import Outliers

        features = count_features(module, shape)
        module.add_module("outliers", Outliers(num_classes, features, self.kept))

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits."""
        module: Any = step.module
        features = step.features(self.augment(step.images, step.generator))
        logits: Tensor = module.head(features)
        loss = self.loss(logits, step.labels, step.done)
        module.outliers.keep(features.detach(), step.labels)
        if step.done >= self.start:
            drawn = module.outliers.draw(self.candidates, step.generator)
            loss = loss + self.weight * module.outliers(logits, module.head(drawn))
        return loss, logits

    def finish(self, module: nn.Module) -> None:
        """Remove what `begin` added."""
        del module.outliers
