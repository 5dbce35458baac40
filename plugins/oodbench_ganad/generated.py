"""The test sets made by GANAD's generator, as in the paper's Tables 3 to 10."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from oodbench.contracts import Context, GeneratedDataset, ImageSet, Info, Trainable
from oodbench_ganad.detector import PAPER
from oodbench_ganad.gan import Wgan
from oodbench_ganad.recipes import RecipeName, check_parameters, recipe_for

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BATCH = 500
"""Images that are made at once."""


class _Generated(GeneratedDataset):
    """Images of every class, equally often, of seeds with a norm in some interval.

    Args:
        count: number of images; at least 1.
        recipe: as of `Ganad`: the generator is that of the detectors with the same parameters.
        alpha: as of `Ganad`.
        steps: as of `Ganad`.
        generator_seed: as of `Ganad`.
    """

    def __init__(
        self,
        *,
        count: int = 10_000,
        recipe: RecipeName = "fast",
        alpha: float = 0.5,
        steps: int | None = None,
        generator_seed: int = 0,
    ) -> None:
        check_parameters(alpha, steps)
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.count = count
        self.recipe = recipe
        self.alpha = alpha
        self.steps = steps
        self.generator_seed = generator_seed

    def parts(self) -> dict[str, Trainable]:
        """Return the generator that GANAD's detectors share."""
        return {
            "wgan": Wgan(
                recipe=self.recipe,
                alpha=self.alpha,
                steps=self.steps,
                generator_seed=self.generator_seed,
            )
        }

    @abstractmethod
    def draw(self, count: int, length: int, draws: torch.Generator) -> Tensor:
        """Draw seeds: (count, length) float32."""

    def generate(self, context: Context) -> ImageSet:
        """Make the images, of all classes equally often."""
        import torch

        from oodbench_ganad import seeds

        generator = context.parts["wgan"].generator_
        length = recipe_for(self.recipe, context.shape).architecture.seed_length
        draws = seeds.device_generator(context, stream=0)
        classes = torch.arange(self.count, device=context.device) % context.num_classes
        made = []
        for chosen in classes.split(BATCH):
            images = generator(self.draw(len(chosen), length, draws), chosen)
            made.append((images * 255).round().to(torch.uint8).cpu())
            context.progress(sum(map(len, made)), self.count)
        images = torch.cat(made).permute(0, 2, 3, 1).squeeze(3).numpy()
        return ImageSet(images, np.full(self.count, -1, dtype=np.int64))


class GanadFakes(_Generated):
    """Fakes: standard normal seeds with a Chebyshev norm below 5."""

    info = Info(
        name="ganad-fakes",
        title="Fakes (norm 0-5)",
        summary="Images of GANAD's generator that resemble ID images.",
        paper=PAPER,
    )

    def draw(self, count: int, length: int, draws: torch.Generator) -> Tensor:
        """Draw seeds of fakes: (count, length) float32."""
        from oodbench_ganad import seeds

        return seeds.draw_fakes(count, length, draws)


class GanadAnomalies(_Generated):
    """Near anomalies: seeds with a Chebyshev norm in [6, 7], which AD was not trained on."""

    info = Info(
        name="ganad-anomalies",
        title="Anomalies (norm 6-7)",
        summary="Near anomalies of GANAD's generator, of larger norms than those AD is trained on.",
        paper=PAPER,
        deviations=(
            "Where the paper is silent, seeds have random directions and norms uniform in [6, 7].",
        ),
    )

    def draw(self, count: int, length: int, draws: torch.Generator) -> Tensor:
        """Draw seeds of near anomalies: (count, length) float32."""
        from oodbench_ganad import seeds

        return seeds.draw_norms(count, length, seeds.TEST_ANOMALY_NORMS, draws)
