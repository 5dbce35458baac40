"""CAVGA: the error of an adversarial VAE that attends to whole images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.system import Recipe, System

if TYPE_CHECKING:
    from oodbench_literature.networks.cavga import CavgaNetwork


@dataclass(frozen=True, kw_only=True)
class CavgaRecipe(Recipe):
    """The numbers of CAVGA; ``latent`` are the channels of its spatial code.

    Attributes:
        attention_weight: of the loss of attention.
    """

    attention_weight: float = 0.01


class Cavga(System):
    """Score by the mean absolute error of the reconstruction of an adversarial VAE.

    The code z of the VAE is spatial. With the last maps F_k of the encoder, its attention is

        A = sigmoid(sum_k w_k F_k),    w_k = mean over places of d(sum z)/dF_k,

    and besides the VAE's bound and a discriminator's loss, 0.01 times the mean of 1 - A is
    minimised, so that the code attends to all of a normal image (section 3.1 of the paper).

    Args:
        recipe: as of `System`.
        steps: as of `System`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="cavga",
        title="CAVGA-D (after Venkataramanan et al.)",
        summary="Large error of an adversarial VAE whose code attends to whole images",
        paper=Paper(
            title="Attention Guided Anomaly Localization in Images",
            authors="Venkataramanan et al.",
            venue="ECCV",
            year=2020,
            url="https://arxiv.org/abs/1911.08616",
        ),
        deviations=(
            "The paper's text was not available; it is the variant D without labels, as others "
            "describe it. Its networks are pretrained on CelebA; these start from random weights.",
            "The error is a cross-entropy, the adversarial loss is non-saturating, the sigmoid of "
            "the attention is taken without scaling, and the code has 64 channels.",
            "Recipe fast: a quarter of the channels, a code of 4 channels of 2x2 places for images "
            "of 28x28, and 800 steps whose learning rate falls from 0.002 to 0.",
        ),
    )
    recipes: ClassVar = {
        "paper": CavgaRecipe(width=64, latent=64, smallest=4, epochs=100, last_learning_rate=2e-4),
        "fast": CavgaRecipe(width=16, latent=4, smallest=2, steps=800, learning_rate=2e-3),
        "tiny": CavgaRecipe(width=8, latent=2, smallest=4, steps=60, learning_rate=1e-2),
    }

    def build(self, context: Context) -> CavgaNetwork:
        """Return new networks."""
        from oodbench_literature.networks.cavga import CavgaNetwork

        return CavgaNetwork(context.shape, self.settings(context.shape))
