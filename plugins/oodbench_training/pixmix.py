"""PixMix: training on images that pictures of another kind were mixed into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodbench.contracts import DerivedClassifier, Info, InvalidParameter, Paper, TrainingStep

if TYPE_CHECKING:
    from torch import Tensor


class PixMix(DerivedClassifier):
    """Train on images mixed with changed copies of themselves and with pictures of another set.

    An image, half of the time changed by a random operation, is mixed up to ``rounds`` times,
    with a changed copy of the original or with a picture, by a sum or a product of powers whose
    weights are drawn from beta distributions (section 3 of the paper). The loss is that of the
    classes. Made for the detector ``msp``.

    Args:
        network: name of the classifier that is trained so.
        pictures: name of the data set that is mixed in: its training images, or else its test
            images.
        rounds: the most times that an image is mixed.
        severity: of the operations, in (0, 10].
        strength: beta; the larger, the closer a mixture is to the image.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    info = Info(
        name="pixmix",
        title="PixMix",
        summary="PixMix: another classifier, trained on images mixed with pictures of fractals.",
        paper=Paper(
            title="PixMix: Dreamlike Pictures Comprehensively Improve Safety Measures",
            authors="Hendrycks et al.",
            venue="CVPR",
            year=2022,
            url="https://arxiv.org/abs/2112.05135",
        ),
        deviations=(
            "The pictures are computed fractals (1,000 by default); the authors collected 14,230 "
            "drawn ones and feature visualisations.",
            "Trained by the recipe of the network.",
            "Pictures are resized to the images and not cropped at random; those of a step are as "
            "many as its images.",
        ),
    )

    def __init__(
        self,
        *,
        network: str = "preact-resnet",
        pictures: str = "fractals",
        rounds: int = 4,
        severity: float = 3.0,
        strength: float = 3.0,
    ) -> None:
        if rounds < 0 or not 0 < severity <= 10 or strength <= 0:
            raise InvalidParameter(
                f"rounds={rounds}, severity={severity}, strength={strength}: rounds must be at "
                "least 0, severity in (0, 10], strength above 0"
            )
        self.network = network
        self.pictures = pictures
        self.rounds = rounds
        self.severity = severity
        self.strength = strength

    def auxiliary(self) -> str:
        """Return the name of the data set that is mixed in."""
        return self.pictures

    def objective(self, step: TrainingStep) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of mixed images."""
        import torch

        from oodbench_training.mixing import mixed

        assert step.auxiliary is not None
        images, generator = self.augment(step.images, step.generator), step.generator
        drawn = torch.randint(len(step.auxiliary), (len(images),), generator=generator)
        pictures = step.auxiliary[drawn.to(images.device)]
        images = mixed(images, pictures, self.rounds, self.severity, self.strength, generator)
        head: Any = step.module.head
        logits: Tensor = head(step.features(images))
        return self.loss(logits, step.labels, step.done), logits
