"""gamma-VAE grad: how far an image is from the normal image that a descent of its energy finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from oodbench.contracts import Context, Info, InvalidParameter, Paper
from oodbench_literature.system import Recipe, RecipeName, System

if TYPE_CHECKING:
    from oodbench_literature.networks.gamma_vae import GammaVae


@dataclass(frozen=True, kw_only=True)
class GammaVaeRecipe(Recipe):
    """The numbers of gamma-VAE grad.

    Attributes:
        iterations: steps of the search.
        step: alpha, in units of gamma.
        closeness: lambda.
    """

    iterations: int
    step: float = 0.5
    closeness: float = 0.05


class GammaVaeGrad(System):
    """Score by the squared distance of an image from a normal image, which a search finds near it.

    A variational autoencoder with one learned variance gamma of the pixels learns normal images;
    f(x) is decoded from the mean code of x. The search starts at the image x_0 and descends

        E(x_t) = |x_t - f(x_t)|^2 / (2 gamma) + lambda |x_t - x_0|_1,
        x_t+1 = x_t - alpha gamma grad E(x_t) (x_t - f(x_t))^2,

    product and square by pixel (section 3 of the paper), within [0, 1]; then

        score(x_0) = |x_0 - f(x_T)|^2,    or |x_0 - x_T|^2.

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        compared: ``"reconstruction"``, f(x_T), or ``"image"``, x_T.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="gamma-vae-grad",
        title="gamma-VAE grad (after Dehaene et al.)",
        summary="Far from the normal image that a descent of a VAE's energy finds near it",
        paper=Paper(
            title="Iterative energy-based projection on a normal data manifold for anomaly "
            "localization",
            authors="Dehaene et al.",
            venue="ICLR",
            year=2020,
            url="https://arxiv.org/abs/2002.03734",
        ),
        deviations=(
            "The paper's text was not available; networks and training are ours.",
            "The paper finds anomalous pixels; the score of an image is ours.",
            "The step is in units of gamma, and is halved and taken back for an image whose energy "
            "it would raise; the number of steps is fixed.",
            "Recipe fast: 24 channels, codes of 12 numbers, 1,500 steps of 128 images whose "
            "learning rate falls from 0.003 to 0, and 8 long steps of the search.",
        ),
    )
    recipes: ClassVar = {
        "paper": GammaVaeRecipe(
            width=32,
            latent=100,
            batch_size=8,
            learning_rate=1e-4,
            last_learning_rate=1e-4,
            betas=(0.9, 0.999),
            epochs=300,
            iterations=100,
        ),
        "fast": GammaVaeRecipe(
            width=24,
            latent=12,
            batch_size=128,
            learning_rate=3e-3,
            betas=(0.9, 0.999),
            steps=1500,
            iterations=8,
            step=40.0,
        ),
        "tiny": GammaVaeRecipe(
            width=8,
            latent=6,
            smallest=4,
            learning_rate=1e-2,
            betas=(0.9, 0.999),
            steps=60,
            iterations=3,
        ),
    }

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        steps: int | None = None,
        compared: Literal["reconstruction", "image"] = "reconstruction",
    ) -> None:
        super().__init__(recipe=recipe, steps=steps)
        if compared not in ("reconstruction", "image"):
            raise InvalidParameter(
                f"gamma-vae-grad.compared is '{compared}'; it can be reconstruction, image"
            )
        self.compared = compared

    def build(self, context: Context) -> GammaVae:
        """Return new networks."""
        from oodbench_literature.networks.gamma_vae import GammaVae

        recipe = self.settings(context.shape)
        return GammaVae(context.shape, recipe, moved=self.compared == "image")
