"""AnoGAN: how an image differs from the nearest one that a GAN makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.gan import OnGan, Search

if TYPE_CHECKING:
    from oodbench_literature.networks.searching import AnoganNetwork


class Anogan(OnGan):
    """Score by how an image differs from the nearest one that a generator makes.

    A DCGAN learns normal images. For an image x, Adam searches a latent vector z:

        score(x) = min over z of (1 - lambda) sum |x - G(z)| + lambda sum |f(x) - f(G(z))|,

    over pixels in [-1, 1] and over the discriminator's features f, with lambda = 0.1 (equations 2
    to 4 of the paper).

    Args:
        recipe: as of `OnGan`.
        steps: as of `OnGan`.
        generator_seed: as of `OnGan`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="anogan",
        title="AnoGAN (after Schlegl et al.)",
        summary="Far from all images that a GAN makes, by pixels and the discriminator's features",
        paper=Paper(
            title="Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide "
            "Marker Discovery",
            authors="Schlegl et al.",
            venue="IPMI",
            year=2017,
            url="https://arxiv.org/abs/1703.05921",
        ),
        deviations=(
            "The paper's text was not available; networks and training are after a published "
            "reimplementation, and features are the last maps of the discriminator.",
            "The learning rate of the search falls linearly to a tenth, and the least loss of all "
            "steps counts. All seeds of the detector share one generator.",
            "Recipe fast: a quarter of the channels, latent vectors of 32 numbers, 1,500 steps "
            "whose learning rate falls from 0.001 to 0. The search takes 20 steps from the nearest "
            "one of 1,000 images of the generator, where the paper's takes 500 from anywhere.",
        ),
    )
    objective = "cross-entropy"
    recipes: ClassVar = {
        "paper": Search(starts=1, steps=500, rate=0.01),
        "fast": Search(starts=1, among=1000, steps=20, rate=0.1),
        "tiny": Search(starts=1, among=50, steps=3, rate=0.1),
    }

    def build(self, context: Context) -> AnoganNetwork:
        """Return networks to be filled with those of the GAN."""
        from oodbench_literature.networks.searching import AnoganNetwork

        gan = self._gan()
        search = self.settings(context.shape)
        return AnoganNetwork(context.shape, gan.settings(), gan.objective, search)
