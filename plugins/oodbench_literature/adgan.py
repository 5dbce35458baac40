"""ADGAN: how well short searches in the latent space of a GAN find an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from oodbench.contracts import Context, Info, Paper
from oodbench_literature.gan import OnGan, Search

if TYPE_CHECKING:
    from oodbench_literature.networks.searching import AdganNetwork


@dataclass(frozen=True, kw_only=True)
class AdganSearch(Search):
    """The numbers of ADGAN's search.

    Attributes:
        weights_rate: learning rate of the generator's weights in a search; 0 leaves them.
    """

    weights_rate: float = 0.0


class Adgan(OnGan):
    """Score by what remains of an image after short searches in the latent space of a generator.

    A WGAN-GP learns normal images. For each of some latent vectors z_j drawn from the prior, Adam
    takes a few steps down mean (x - G(z_j))^2, in z_j and in a copy of the weights of G;

        score(x) = mean over j of what remains   (section 3 of the paper).

    Args:
        recipe: as of `OnGan`.
        steps: as of `OnGan`.
        generator_seed: as of `OnGan`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="adgan",
        title="ADGAN (after Deecke et al.)",
        summary="Not found by short searches in the latent space of a GAN",
        paper=Paper(
            title="Image Anomaly Detection with Generative Adversarial Networks",
            authors="Deecke et al.",
            venue="ECML PKDD",
            year=2018,
            url="https://doi.org/10.1007/978-3-030-10925-7_1",
        ),
        deviations=(
            "The paper's text was not available; the numbers are those of a published "
            "reimplementation, whose critic and generator have 3x3 kernels.",
            "The starts are drawn once, and are the same for all images; the learning rate falls "
            "to a tenth, and the least loss of a search counts. Batch normalisations are in "
            "evaluation mode. All seeds of the detector share one generator.",
            "Recipe fast: a quarter of the channels, latent vectors of 32 numbers, 800 steps of "
            "the generator; four searches of 10 steps each, in which weights stay as they are.",
        ),
    )
    objective = "wasserstein"
    recipes: ClassVar = {
        "paper": AdganSearch(starts=8, steps=5, rate=0.25, betas=(0.5, 0.999), weights_rate=5e-5),
        "fast": AdganSearch(starts=4, steps=10, rate=0.25, betas=(0.5, 0.999)),
        "tiny": AdganSearch(starts=2, steps=3, rate=0.25, betas=(0.5, 0.999)),
    }

    def build(self, context: Context) -> AdganNetwork:
        """Return networks to be filled with those of the GAN."""
        from oodbench_literature.networks.searching import AdganNetwork

        gan = self._gan()
        search = self.settings(context.shape)
        return AdganNetwork(context.shape, gan.settings(), gan.objective, search)
