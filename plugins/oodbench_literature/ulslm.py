"""ULSLM: images that are no local maxima of a learned value within a learned set."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from oodbench.contracts import Context, Info, InvalidParameter, Paper
from oodbench_literature.system import Recipe, RecipeName, System

if TYPE_CHECKING:
    from oodbench_literature.networks.ulslm import UlslmNetwork

JUDGES = ("distance", "comparator", "indicator")


class Ulslm(System):
    """Score by whether an image is a local maximum of a learned value within a learned set.

    Normal images are taken for local maxima of an unknown value within an unknown set. An indicator
    c(x) of the set and a comparator h(x, x') of the value learn from images x' near normal ones,
    each made by a generator: x' is outside, or it is lower. The generator of c makes images that c
    takes to be inside, that of h, g, images inside which h takes to be higher. Both stay close to
    the image that they are given, so that g moves a local maximum the least:

        score(x) = mean (x - g(x))^2,    or -logit h(x, g(x)),    or -logit c(x).

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        judge: ``"distance"``, ``"comparator"`` or ``"indicator"``, in this order.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="ulslm",
        title="ULSLM (after Wolf et al.)",
        summary="No local maximum of a learned value within a learned set of images",
        paper=Paper(
            title="Unsupervised Learning of the Set of Local Maxima",
            authors="Wolf et al.",
            venue="ICLR",
            year=2019,
            url="https://arxiv.org/abs/2001.05026",
        ),
        deviations=(
            "The paper's text was not available: networks, losses, their weights and the score are "
            "ours, and which of its functions gives the published figures is unknown. Of digits, "
            "indicator and comparator learn how they are drawn and not which they are.",
            "Recipe fast: a quarter of the channels, codes of 12 numbers in generators, and 800 "
            "steps whose learning rate falls from 0.001 to 0.",
        ),
    )
    recipes: ClassVar = {
        "paper": Recipe(width=64, latent=64, smallest=4, epochs=50, last_learning_rate=2e-4),
        "fast": Recipe(width=16, latent=12, steps=800, learning_rate=1e-3),
        "tiny": Recipe(width=8, latent=8, smallest=4, steps=50, learning_rate=5e-3),
    }
    space: ClassVar = {"judge": JUDGES}

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        steps: int | None = None,
        judge: Literal["distance", "comparator", "indicator"] = "distance",
    ) -> None:
        super().__init__(recipe=recipe, steps=steps)
        if judge not in JUDGES:
            raise InvalidParameter(f"ulslm.judge is '{judge}'; it can be {', '.join(JUDGES)}")
        self.judge = judge

    def build(self, context: Context) -> UlslmNetwork:
        """Return new networks."""
        from oodbench_literature.networks.ulslm import UlslmNetwork

        return UlslmNetwork(context.shape, self.settings(context.shape), self.judge)
