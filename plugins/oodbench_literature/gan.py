"""The generator of images that AnoGAN, f-AnoGAN and ADGAN share, as a part that is fitted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from oodbench.contracts import Context, Need, State, Stream, Trainable
from oodbench_literature.system import Recipe, RecipeName, System

Objective = Literal["cross-entropy", "wasserstein"]
"""What generator and discriminator play for: as DCGAN, or as WGAN-GP."""


@dataclass(frozen=True, kw_only=True)
class GanRecipe(Recipe):
    """The numbers of a GAN.

    Attributes:
        critic_steps: steps of the discriminator for each of the generator.
        penalty_weight: of the gradient penalty, with the objective "wasserstein".
        averaging: decay of the average of the generator's weights that is kept; None: the last
            ones.
    """

    critic_steps: int = 1
    penalty_weight: float = 10.0
    averaging: float | None = None


class Gan(Trainable):
    """A generator of images like the training images, with its discriminator.

    Args:
        recipe: how to train.
        objective: ``"cross-entropy"`` (DCGAN) or ``"wasserstein"`` (WGAN-GP).
        steps: steps of the generator; those of the recipe if None.
        generator_seed: seed of the training.

    Attributes:
        network_: the networks, in evaluation mode.
    """

    needs = frozenset({Need.INPUTS})
    stochastic = True
    recipes: ClassVar = {
        ("paper", "cross-entropy"): GanRecipe(
            width=64,
            latent=200,
            batch_size=100,
            learning_rate=1e-5,
            last_learning_rate=1e-5,
            epochs=100,
            averaging=0.999,
        ),
        ("paper", "wasserstein"): GanRecipe(
            width=64,
            latent=256,
            smallest=4,
            batch_size=128,
            learning_rate=1e-4,
            last_learning_rate=1e-4,
            betas=(0.0, 0.9),
            steps=10_000,
            critic_steps=2,
        ),
        ("fast", "cross-entropy"): GanRecipe(
            width=16, latent=32, steps=1500, learning_rate=1e-3, averaging=0.99
        ),
        ("fast", "wasserstein"): GanRecipe(
            width=16,
            latent=32,
            steps=800,
            learning_rate=1e-3,
            betas=(0.5, 0.9),
            critic_steps=2,
            averaging=0.99,
        ),
        ("tiny", "cross-entropy"): GanRecipe(
            width=8, latent=8, smallest=4, steps=80, learning_rate=4e-3, averaging=0.9
        ),
        ("tiny", "wasserstein"): GanRecipe(
            width=8,
            latent=8,
            smallest=4,
            steps=60,
            learning_rate=5e-3,
            betas=(0.5, 0.9),
            critic_steps=2,
            averaging=0.9,
        ),
    }

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        objective: Objective = "cross-entropy",
        steps: int | None = None,
        generator_seed: int = 0,
    ) -> None:
        self.recipe = recipe
        self.objective = objective
        self.steps = steps
        self.generator_seed = generator_seed

    def settings(self) -> GanRecipe:
        """Return the numbers of the training."""
        found: GanRecipe = self.recipes[self.recipe, self.objective]
        return found

    def fit(self, train: Stream, context: Context) -> Self:
        """Train generator and discriminator.

        Raises:
            PluginError: if the training diverges.
        """
        import torch

        context = replace(context, seed=self.generator_seed)
        torch.manual_seed(self.generator_seed)
        self._place(context)
        self.network_.learn(train, self.steps or self.settings().steps_on(len(train)), context)
        self.network_.eval().requires_grad_(False)
        return self

    def state(self) -> State:
        """Return the weights and buffers of both networks."""
        return self.network_.state_dict()

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild both networks and load their weights."""
        self._place(context)
        self.network_.load_state_dict(dict(state))
        self.network_.eval().requires_grad_(False)
        return self

    def _place(self, context: Context) -> None:
        from oodbench_ganad.networks import place
        from oodbench_literature.networks.gan import GanNetwork

        network = GanNetwork(context.shape, self.settings(), self.objective)
        self.network_ = place(network, context.device)


@dataclass(frozen=True, kw_only=True)
class Search:
    """The numbers of a search for the latent vectors whose images are like a given one.

    Attributes:
        starts: latent vectors that it starts from, the same for all images.
        among: how many vectors the nearest ``starts`` are chosen from, for each image; None: all
            starts are used.
        steps: of Adam.
        rate: its first learning rate.
        betas: of Adam.
    """

    starts: int
    among: int | None = None
    steps: int
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)


class OnGan(System):
    """A detector on a generator that is trained before, once for all seeds of the detector.

    Args:
        recipe: as of `System`.
        steps: steps of the generator; those of the recipe if None.
        generator_seed: seed of the generator's training, one for all seeds of the detector.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    fit_needs = frozenset()
    objective: ClassVar[Objective]

    def __init__(
        self, *, recipe: RecipeName = "fast", steps: int | None = None, generator_seed: int = 0
    ) -> None:
        super().__init__(recipe=recipe, steps=steps)
        self.generator_seed = generator_seed

    def parts(self) -> Mapping[str, Gan]:
        """Return the generator with its discriminator."""
        return {"gan": self._gan()}

    def _gan(self) -> Gan:
        return Gan(
            recipe=self.recipe,
            objective=self.objective,
            steps=self.steps,
            generator_seed=self.generator_seed,
        )

    def _steps_on(self, train: Stream) -> int:
        return 0
