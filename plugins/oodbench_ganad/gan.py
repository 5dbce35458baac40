"""The conditional WGAN-GP that all of GANAD's detectors share, as a part that is fitted once."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from oodbench.contracts import Context, Need, State, Stream, Trainable
from oodbench_ganad.recipes import RecipeName, check_parameters, recipe_for


class Wgan(Trainable):
    """A generator of images by class, trained against a critic and a classifier (section 3.2).

    Args:
        recipe: how to train: ``"paper"``, ``"fast"`` or ``"tiny"``.
        alpha: weight of the adversarial loss against the classifier's, equation (2).
        steps: generator steps; those of the recipe if None.
        generator_seed: seed of the training.

    Attributes:
        generator_: G in evaluation mode, from seeds (n, N) and classes (n,) to images.
        critic_: D in evaluation mode, from images and classes (n,) to values (n,).
    """

    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    stochastic = True

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        alpha: float = 0.5,
        steps: int | None = None,
        generator_seed: int = 0,
    ) -> None:
        check_parameters(alpha, steps)
        self.recipe = recipe
        self.alpha = alpha
        self.steps = steps
        self.generator_seed = generator_seed

    def fit(self, train: Stream, context: Context) -> Self:
        """Train generator and critic.

        Raises:
            InvalidParameter: if there is no such recipe.
            PluginError: if the training diverges.
        """
        from oodbench_ganad.networks import initialise, settle
        from oodbench_ganad.training import AdversarialTraining

        context = replace(context, seed=self.generator_seed)
        recipe = recipe_for(self.recipe, context.shape)
        self._build(context)
        draws = context.generator(0)
        initialise(self.generator_, draws)
        initialise(self.critic_, draws)
        steps = recipe.generator_steps(len(train)) if self.steps is None else self.steps
        AdversarialTraining(self.generator_, self.critic_, recipe, self.alpha, steps, context).run(
            train
        )
        settle(self.generator_)
        settle(self.critic_)
        return self

    def state(self) -> State:
        """Return the weights of both networks under their names, prefixed by the network's."""
        return {
            f"{network}.{name}": tensor
            for network, module in (("generator", self.generator_), ("critic", self.critic_))
            for name, tensor in module.state_dict().items()
        }

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild both networks and load their weights."""
        self._build(context)
        for network, module in (("generator", self.generator_), ("critic", self.critic_)):
            prefix = f"{network}."
            weights = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
            module.load_state_dict(weights)
            module.eval()
        return self

    def _build(self, context: Context) -> None:
        from oodbench_ganad.networks import make_critic, make_generator, place

        architecture = recipe_for(self.recipe, context.shape).architecture
        described = (architecture, context.shape, context.num_classes)
        self.generator_ = place(make_generator(*described), context.device)
        self.critic_ = place(make_critic(*described), context.device)
