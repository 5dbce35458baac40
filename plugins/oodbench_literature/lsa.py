"""Latent space autoregression: reconstruction error and surprisal of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.system import Recipe, System

if TYPE_CHECKING:
    from oodbench_literature.networks.lsa import LsaNetwork


@dataclass(frozen=True, kw_only=True)
class LsaRecipe(Recipe):
    """The numbers of LSA.

    Attributes:
        hidden: values between the smallest maps and the code.
        channels: of an element of the code in the hidden layers of the estimator.
        bins: of an element of the code.
        surprisal_weight: lambda, of the surprisal in the loss.
        stem: whether a convolution and a residual block precede the first halving.
    """

    hidden: int = 64
    channels: int = 32
    bins: int = 100
    surprisal_weight: float = 1.0
    stem: bool = False


PAPER = LsaRecipe(
    width=32,
    latent=64,
    batch_size=256,
    learning_rate=1e-4,
    last_learning_rate=1e-4,
    betas=(0.9, 0.999),
    epochs=200,
)
"""For grey images."""

PAPER_COLOUR = LsaRecipe(
    width=64,
    latent=64,
    smallest=4,
    batch_size=256,
    learning_rate=1e-4,
    last_learning_rate=1e-4,
    betas=(0.9, 0.999),
    epochs=200,
    hidden=256,
    stem=True,
)


class Lsa(System):
    """Score by the error of a reconstruction and the surprisal of the code that it is made from.

    An autoencoder has a code z of d numbers in (0, 1), and an estimator of masked layers gives the
    probabilities of the bins of each z_i, given those before it. With the reconstruction r,

        REC(x) = sum over pixels (x - r(x))^2,    NLL(x) = -sum_i log p(bin(z_i) | z_1 ... z_i-1),

    both are minimised together, REC + lambda NLL (equations 3 and 5 of the paper), and

        score(x) = norm(REC(x)) + norm(NLL(x))   (equations 9 and 10),

    where norm brings the range of normal images to [0, 1].

    Args:
        recipe: as of `System`.
        steps: as of `System`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="lsa",
        title="LSA",
        summary="Large reconstruction error and surprising code of an autoencoder",
        paper=Paper(
            title="Latent Space Autoregression for Novelty Detection",
            authors="Abati et al.",
            venue="CVPR",
            year=2019,
            url="https://arxiv.org/abs/1807.01653",
        ),
        deviations=(
            "Both terms of the score are scaled by 5 % and 95 % quantiles on training images; "
            "the paper takes minimum and maximum on a tenth of them, held out.",
            "Sides that are not divisible are padded. The training's numbers are as reported by "
            "users of the authors' code, which lacks the training.",
            "Recipe fast: half of the channels, a quarter of those of the estimator, batches of 64 "
            "and a learning rate that falls from 0.002 to 0 within 900 steps.",
        ),
    )
    recipes: ClassVar = {
        "paper": PAPER,
        "fast": LsaRecipe(
            width=16,
            latent=64,
            learning_rate=2e-3,
            betas=(0.9, 0.999),
            steps=900,
            channels=8,
        ),
        "tiny": LsaRecipe(
            width=8,
            latent=8,
            smallest=4,
            learning_rate=5e-3,
            betas=(0.9, 0.999),
            steps=60,
            hidden=32,
            channels=4,
            bins=20,
        ),
    }

    def settings(self, shape: tuple[int, int, int]) -> LsaRecipe:
        """Return the recipe for images of a shape (c, h, w)."""
        if self.recipe == "paper" and shape[0] > 1:
            return PAPER_COLOUR
        found: LsaRecipe = self.recipes[self.recipe]
        return found

    def build(self, context: Context) -> LsaNetwork:
        """Return new networks."""
        from oodbench_literature.networks.lsa import LsaNetwork

        return LsaNetwork(context.shape, self.settings(context.shape))
