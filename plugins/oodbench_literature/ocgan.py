"""OCGAN: the error of an autoencoder all of whose codes stand for images of the normal class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.system import Recipe, System

if TYPE_CHECKING:
    from oodbench_literature.networks.ocgan import OcganNetwork


@dataclass(frozen=True, kw_only=True)
class OcganRecipe(Recipe):
    """The numbers of OCGAN.

    Attributes:
        judging_width: channels after the first convolution of the discriminator of images.
        noise: variance of the noise that is added to the images.
        error_weight: weight of the mean squared error against the adversarial losses.
        mining_from: share of the steps after which codes are mined.
        mining_steps: steps that a code is moved by.
        mining_rate: their length.
    """

    judging_width: int
    noise: float = 0.2
    error_weight: float = 10.0
    mining_from: float = 0.75
    mining_steps: int = 5
    mining_rate: float = 0.1

    @property
    def judging(self) -> Recipe:
        """The numbers of the discriminator of images."""
        return replace(self, width=self.judging_width)


class Ocgan(System):
    """Score by the error of a denoising autoencoder whose codes all stand for normal images.

    An encoder gives codes in the cube (-1, 1)^d. A discriminator of codes makes them uniform in the
    cube, a discriminator of images makes what is decoded from any code look normal, and codes for
    which a classifier finds that it does not are mined (sections 3.1 and 3.2 of the paper). Encoder
    and decoder minimise

        10 |x - De(En(x + n))|^2 + both adversarial losses,    n ~ N(0, 0.2),

    and score(x) = |x - De(En(x))|^2, the mean over pixels.

    Args:
        recipe: as of `System`.
        steps: as of `System`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="ocgan",
        title="OCGAN",
        summary="Large error of an autoencoder all of whose codes stand for normal images",
        paper=Paper(
            title="OCGAN: One-class Novelty Detection Using GANs with Constrained Latent "
            "Representations",
            authors="Perera et al.",
            venue="CVPR",
            year=2019,
            url="https://arxiv.org/abs/1903.08550",
        ),
        deviations=(
            "A linear layer makes the codes, and kernels are 4x4; the paper does not "
            "say how its maps become codes, nor of which length; recipe paper takes 32 numbers.",
            "The last weights are used, not those of least validation error; images are neither "
            "normalised in contrast nor centred; mining takes place in the last quarter of the "
            "steps, each of which has the length 0.1.",
            "Recipe fast: a quarter of the channels, codes of 12 numbers, batches of 64, 800 steps "
            "whose learning rate falls from 0.002 to 0, and the weight 400 of the mean error.",
        ),
    )
    recipes: ClassVar = {
        "paper": OcganRecipe(
            width=64,
            judging_width=12,
            latent=32,
            smallest=4,
            batch_size=512,
            last_learning_rate=2e-4,
            epochs=201,
        ),
        "fast": OcganRecipe(
            width=16, judging_width=8, latent=12, steps=800, learning_rate=2e-3, error_weight=400.0
        ),
        "tiny": OcganRecipe(
            width=8,
            judging_width=4,
            latent=6,
            smallest=4,
            steps=60,
            learning_rate=1e-2,
            noise=0.01,
            error_weight=100.0,
        ),
    }

    def build(self, context: Context) -> OcganNetwork:
        """Return new networks."""
        from oodbench_literature.networks.ocgan import OcganNetwork

        return OcganNetwork(context.shape, self.settings(context.shape))
