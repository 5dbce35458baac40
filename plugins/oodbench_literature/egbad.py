"""EGBAD: the reconstruction of a BiGAN, compared by pixels and by discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.system import Recipe, System

if TYPE_CHECKING:
    from oodbench_literature.networks.egbad import EgbadNetwork


@dataclass(frozen=True, kw_only=True)
class EgbadRecipe(Recipe):
    """The numbers of EGBAD.

    Attributes:
        hidden: features of a pair.
        dropout: share of values that the discriminator drops.
        averaging: decay of the averages of weights that are kept in the end.
        feature_weight: w, of the features in the score.
    """

    hidden: int = 1024
    dropout: float = 0.5
    averaging: float = 0.999
    feature_weight: float = 0.1


class Egbad(System):
    """Score by the reconstruction of an image by encoder and generator of a BiGAN.

    Encoder E and generator G are trained so that a discriminator cannot tell pairs (x, E(x)) from
    pairs (G(z), z). With its features f of a pair,

        score(x) = (1 - w) |x - G(E(x))|_1 + w |f(x, E(x)) - f(G(E(x)), E(x))|_1,    w = 0.1,

    of images in [-1, 1], as in the authors' code.

    Args:
        recipe: as of `System`.
        steps: as of `System`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="egbad",
        title="EGBAD",
        summary="Far from its reconstruction by a BiGAN, by pixels and discriminator",
        paper=Paper(
            title="Efficient GAN-Based Anomaly Detection",
            authors="Zenati et al.",
            venue="ICLR Workshop",
            year=2018,
            url="https://arxiv.org/abs/1802.06222",
        ),
        deviations=(
            "After the authors' code; the paper's text was not available. Convolutions are 4x4, "
            "slopes 0.2, and one hidden layer of the decoder is left out.",
            "Recipe fast: a quarter of the channels and features, latent vectors of 32 numbers and "
            "1,500 steps whose learning rate falls from 0.001 to 0.",
        ),
    )
    recipes: ClassVar = {
        "paper": EgbadRecipe(
            width=64,
            latent=200,
            batch_size=100,
            learning_rate=1e-5,
            last_learning_rate=1e-5,
            epochs=100,
        ),
        "fast": EgbadRecipe(
            width=16, latent=32, learning_rate=1e-3, steps=1500, hidden=256, averaging=0.99
        ),
        "tiny": EgbadRecipe(
            width=8, latent=4, smallest=4, learning_rate=5e-3, steps=80, hidden=32, averaging=0.9
        ),
    }

    def build(self, context: Context) -> EgbadNetwork:
        """Return new networks."""
        from oodbench_literature.networks.egbad import EgbadNetwork

        return EgbadNetwork(context.shape, self.settings(context.shape))
