"""f-AnoGAN: AnoGAN with an encoder in place of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Need, Paper, Stream
from oodbench_literature.gan import OnGan
from oodbench_literature.system import Recipe

if TYPE_CHECKING:
    from oodbench_literature.networks.f_anogan import FAnoganNetwork


class FAnogan(OnGan):
    """Score by how an image differs from what a generator makes of the encoded image.

    A WGAN-GP learns normal images, then an encoder E that of its generator G, by

        score(x) = mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2,

    over pixels in [-1, 1] and over the critic's features f, with kappa = 1; that is what E
    minimises, too (izi_f of the paper).

    Args:
        recipe: as of `OnGan`.
        steps: as of `OnGan`.
        generator_seed: as of `OnGan`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="f-anogan",
        title="f-AnoGAN (after Schlegl et al.)",
        summary="Far from what a GAN makes of the encoded image, by pixels and critic's features",
        paper=Paper(
            title="f-AnoGAN: Fast Unsupervised Anomaly Detection with Generative Adversarial "
            "Networks",
            authors="Schlegl et al.",
            venue="Medical Image Analysis 54",
            year=2019,
            url="https://doi.org/10.1016/j.media.2019.01.010",
        ),
        deviations=(
            "The paper's text was not available; networks and training are ours, and features are "
            "the last maps of the critic.",
            "The generator is that of ADGAN. All seeds of the detector share it.",
            "Recipe fast: a quarter of the channels, latent vectors of 32 numbers, 800 steps of "
            "the generator and 600 of the encoder, whose learning rates fall from 0.001 to 0.",
        ),
    )
    fit_needs = frozenset({Need.INPUTS})
    objective = "wasserstein"
    recipes: ClassVar = {
        "paper": Recipe(width=64, latent=256, smallest=4, learning_rate=5e-5, steps=50_000),
        "fast": Recipe(width=16, latent=32, learning_rate=1e-3, steps=600),
        "tiny": Recipe(width=8, latent=8, smallest=4, learning_rate=5e-3, steps=60),
    }

    def _steps_on(self, train: Stream) -> int:
        found: int = self.settings(train.shape).steps_on(len(train))
        return found

    def build(self, context: Context) -> FAnoganNetwork:
        """Return networks, to be filled with those of the GAN."""
        from oodbench_literature.networks.f_anogan import FAnoganNetwork

        return FAnoganNetwork(context.shape, self._gan().settings(), self.settings(context.shape))
