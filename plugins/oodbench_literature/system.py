"""What the systems have in common: recipes, and a network that learns and scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from oodbench.contracts import Batch, Context, Detector, InvalidParameter, Need, State, Stream

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench_literature.training import Network

RecipeName = Literal["paper", "fast", "tiny"]
"""The published numbers, those for minutes on a CPU, and those for images of 8x8 pixels."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers that every training has.

    Attributes:
        width: channels after the first convolution; each halving of the sides doubles them.
        latent: numbers that an image is described by.
        smallest: longest side of the smallest maps of a network.
        batch_size: images of a step.
        learning_rate: of Adam at the first step.
        last_learning_rate: of Adam at the last step; it falls linearly.
        betas: of Adam.
        steps: how many; None where ``epochs`` counts.
        epochs: passes over the training images; None where ``steps`` counts.
    """

    width: int
    latent: int
    smallest: int = 8
    batch_size: int = 64
    learning_rate: float = 2e-4
    last_learning_rate: float = 0.0
    betas: tuple[float, float] = (0.5, 0.999)
    steps: int | None = None
    epochs: int | None = None

    def steps_on(self, images: int) -> int:
        """Return how many steps a training on so many images takes."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return self.epochs * max(1, images // self.batch_size)


class System(Detector):
    """A detector whose networks learn from ID images alone, and not from the classifier.

    Args:
        recipe: how to train: ``"paper"`` (the published numbers, for a GPU), ``"fast"`` (a minute
            or two on a CPU for images of 28x28 pixels) or ``"tiny"`` (for images of 8x8 pixels).
        steps: steps of the training; those of the recipe if None.

    Raises:
        InvalidParameter: if there is no such recipe, or ``steps`` is below 1.
    """

    family = "literature"
    needs = frozenset({Need.INPUTS})
    stochastic = True
    recipes: ClassVar[Mapping[str, Any]]
    network_: Network

    def __init__(self, *, recipe: RecipeName = "fast", steps: int | None = None) -> None:
        check_parameters(self.info.name, recipe, steps)
        self.recipe = recipe
        self.steps = steps

    def settings(self, shape: tuple[int, int, int]) -> Any:
        """Return the recipe for images of a shape (c, h, w)."""
        return self.recipes[self.recipe]

    @abstractmethod
    def build(self, context: Context) -> Network:
        """Return new networks for the images of a context, on the CPU."""

    def fit(self, train: Stream, context: Context) -> Self:
        """Train the networks.

        Raises:
            PluginError: if the training diverges.
        """
        self._place(context)
        self.network_.learn(train, self._steps_on(train), context)
        self.network_.eval().requires_grad_(False)
        return self

    def _steps_on(self, train: Stream) -> int:
        found: int = self.settings(train.shape).steps_on(len(train))
        return self.steps or found

    def _place(self, context: Context) -> None:
        from oodbench_ganad.networks import place

        self.network_ = place(self.build(context), context.device)

    def score(self, batch: Batch) -> Tensor:
        """Return the scores of the networks, computed in float32: (n,)."""
        return self.network_.score(batch.inputs)

    def state(self) -> State:
        """Return the weights and buffers of the networks."""
        return self.network_.state_dict()

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the networks and load their weights."""
        self._place(context)
        self.network_.load_state_dict(dict(state))
        self.network_.eval().requires_grad_(False)
        return self


def check_parameters(name: str, recipe: str, steps: int | None) -> None:
    """Check parameters that the systems have in common.

    Raises:
        InvalidParameter: if there is no such recipe, or ``steps`` is below 1.
    """
    known = ("paper", "fast", "tiny")
    if recipe not in known:
        raise InvalidParameter(f"{name}.recipe is '{recipe}'; it can be {', '.join(known)}")
    if steps is not None and steps < 1:
        raise InvalidParameter(f"{name}.steps must be a whole number of at least 1, not {steps}")
