"""GANomaly: the latent vector of an image against that of its reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oodbench.contracts import Context, Info, InvalidParameter, Paper
from oodbench_literature.system import Recipe, RecipeName, System

if TYPE_CHECKING:
    from oodbench_literature.networks.ganomaly import GanomalyNetwork


class Ganomaly(System):
    """Score by how much the latent vector of an image changes when the image is reconstructed.

    With an encoder E, a decoder D and a second encoder F,

        score(x) = mean_j |E(x)_j - F(D(E(x)))_j|   (equation 5 of the paper).

    They are trained with a discriminator, whose features are f, by the generator's loss

        mean (f(x) - f(D(E(x))))^2 + 50 mean |x - D(E(x))| + mean (F(D(E(x))) - E(x))^2

    of images in [-1, 1], in turns with the discriminator's cross-entropy.

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        distance: ``"absolute"``, as in the paper, or ``"squared"``, as in its code.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="ganomaly",
        title="GANomaly",
        summary="The latent vector of an image, far from that of its reconstruction",
        paper=Paper(
            title="GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training",
            authors="Akcay et al.",
            venue="ACCV",
            year=2018,
            url="https://arxiv.org/abs/1805.06725",
        ),
        deviations=(
            "After the authors' code; the paper's text was not available.",
            "Images are in [-1, 1], where the code's contain values that the decoder cannot reach. "
            "Batch normalisations are in evaluation mode, and the weights are those of the last "
            "step; the code uses statistics of the test batch and the best epoch on the test set.",
            "A discriminator whose loss vanishes is not begun anew.",
            "Recipe fast: a quarter of the channels, two halvings of the sides in place of three, "
            "and 800 steps, whose learning rate falls from 0.001 to 0.",
        ),
    )
    recipes: ClassVar = {
        "paper": Recipe(width=64, latent=100, smallest=4, epochs=15, last_learning_rate=2e-4),
        "fast": Recipe(width=16, latent=100, steps=800, learning_rate=1e-3),
        "tiny": Recipe(width=8, latent=16, smallest=4, steps=120, learning_rate=5e-3),
    }
    space: ClassVar = {"distance": ("absolute", "squared")}

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        steps: int | None = None,
        distance: Literal["absolute", "squared"] = "absolute",
    ) -> None:
        super().__init__(recipe=recipe, steps=steps)
        if distance not in ("absolute", "squared"):
            raise InvalidParameter(
                f"ganomaly.distance is '{distance}'; it can be absolute, squared"
            )
        self.distance = distance

    def build(self, context: Context) -> GanomalyNetwork:
        """Return new networks."""
        from oodbench_literature.networks.ganomaly import GanomalyNetwork

        recipe = self.settings(context.shape)
        return GanomalyNetwork(context.shape, recipe, squared=self.distance == "squared")
