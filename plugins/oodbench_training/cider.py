"""CIDER: features whose directions gather about prototypes that are far from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import DerivedClassifier, Info, InvalidParameter, Paper, TrainingStep

if TYPE_CHECKING:
    from torch import Tensor, nn


class Cider(DerivedClassifier):
    """Train features by compactness about the prototypes of classes and dispersion of these.

    Two augmented views of each image pass the network; a projection of two layers and the norm
    make their features points z of a sphere. Each class c has a prototype m_c on it, which moves
    with every point of the class,

        m_c <- normalised(momentum * m_c + (1 - momentum) * z),

    and a step minimises (section 3 of the paper), with temperature t,

        mean over c log mean over j != c exp(m_c . m_j / t)
        - weight * mean over points log(exp(z . m_y / t) / sum_c exp(z . m_c / t))

    The head learns classes by cross-entropy from the features as they are, and does not change
    them (linear probing, as the paper reports its accuracy). Made for the detector ``knn``, which
    normalises features itself.

    Args:
        network: name of the classifier that is trained so.
        weight: of compactness.
        temperature: t.
        momentum: of the prototypes, in [0, 1); the authors' for CIFAR-10.
        dimensions: of the sphere's space.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    info = Info(
        name="cider",
        title="CIDER",
        summary="CIDER: another classifier, whose features gather about distant prototypes.",
        paper=Paper(
            title="How to Exploit Hyperspherical Embeddings for Out-of-Distribution Detection?",
            authors="Ming et al.",
            venue="ICLR",
            year=2023,
            url="https://arxiv.org/abs/2203.04450",
        ),
        deviations=(
            "Trained by the recipe and the augmentation of the network, where the paper trains "
            "for 500 epochs with crops of other sizes and changes of colour.",
            "Prototypes begin at random, not at the means of an untrained network.",
            "The linear layer that tells the classes is trained along with the features.",
        ),
    )

    def __init__(
        self,
        *,
        network: str = "preact-resnet",
        weight: float = 2.0,
        temperature: float = 0.1,
        momentum: float = 0.95,
        dimensions: int = 128,
    ) -> None:
        if weight < 0 or temperature <= 0 or not 0 <= momentum < 1 or dimensions < 1:
            raise InvalidParameter(
                f"weight={weight}, temperature={temperature}, momentum={momentum}, "
                f"dimensions={dimensions}: weight must be at least 0, temperature above 0, "
                "momentum in [0, 1), dimensions at least 1"
            )
        self.network = network
        self.weight = weight
        self.temperature = temperature
        self.momentum = momentum
        self.dimensions = dimensions

    def begin(self, module: nn.Module, shape: tuple[int, int, int], num_classes: int) -> None:
        """Add the projection and the prototypes."""
        from oodbench_training.networks import count_features
        from oodbench_training.sphere import Sphere

        features = count_features(module, shape)
        module.add_module("sphere", Sphere(features, self.dimensions, num_classes))

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of both views."""
        import torch

        from oodbench_training.sphere import compactness, dispersion

        module: Any = step.module
        views = [self.augment(step.images, step.generator) for _ in range(2)]
        labels = step.labels.repeat(2)
        features = step.features(torch.cat(views))
        points = module.sphere(features)
        prototypes = module.sphere.move(points, labels, self.momentum)
        logits: Tensor = module.head(features.detach())
        loss = (
            dispersion(prototypes, self.temperature)
            + self.weight * compactness(points, prototypes.detach(), labels, self.temperature)
            + self.loss(logits, labels, step.done)
        )
        return loss, logits

    def finish(self, module: nn.Module) -> None:
        """Remove what `begin` added."""
        del module.sphere
