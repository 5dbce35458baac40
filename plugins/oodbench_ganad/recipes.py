"""GANAD's recipes: the paper's, fast ones, and one for tiny images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from oodbench.contracts import InvalidParameter

RecipeName = Literal["paper", "fast", "tiny"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Generator and critic, described for images of any shape.

    Attributes:
        seed_length: N, the length of a seed.
        generator_width: channels of the generator at the resolution of the images.
        critic_width: channels of the critic at the resolution of the images.
        growth: factor by which channels grow with each halving of the resolution.
        generator_limit: channels of the generator that are not exceeded; None: they may grow.
        critic_limit: channels of the critic that are not exceeded; None: they may grow.
        blocks: ``"residual"``, as in the paper; ``"plain"``: convolutions, the critic's with 4x4
            kernels and stride 2; ``"projected"``: those of `oodbench_ganad.projected`.
        last_convolutions: convolutions in each of the last two residual blocks of the critic.
    """

    seed_length: int
    generator_width: int
    critic_width: int
    growth: int = 1
    generator_limit: int | None = None
    critic_limit: int | None = None
    blocks: Literal["residual", "plain", "projected"] = "residual"
    last_convolutions: int = 1

    def generator_widths(self, halvings: int) -> list[int]:
        """Return the channels of the generator at each resolution, from the highest down."""
        return _widths(self.generator_width, self.growth, halvings, self.generator_limit)

    def critic_widths(self, halvings: int) -> list[int]:
        """Return the channels of the critic at each resolution, from the highest down."""
        return _widths(self.critic_width, self.growth, halvings, self.critic_limit)


def _widths(first: int, growth: int, halvings: int, limit: int | None) -> list[int]:
    widths = [first * growth**level for level in range(halvings + 1)]
    return widths if limit is None else [min(width, limit) for width in widths]


MNIST = Architecture(seed_length=64, generator_width=32, critic_width=32, last_convolutions=2)
"""Table 1 of the paper."""

CIFAR10 = Architecture(seed_length=128, generator_width=160, critic_width=192)
"""Table 2 of the paper."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of the training.

    Attributes:
        architecture: generator and critic.
        anomaly_architecture: AD, described as a critic; None: as the critic.
        loss: the critic's: ``"wasserstein"``, equation (7), or ``"hinge"``, for critics whose
            layers are bounded otherwise.
        epochs: passes of the critic over the training images; None where ``steps`` counts.
        steps: generator steps; None where ``epochs`` counts.
        batch_size: images of a step.
        critic_steps: critic steps for each generator step.
        penalty_weight: lambda of equation (7).
        learning_rate: of Adam at the first step.
        last_learning_rate: of Adam at the last step; it falls linearly.
        betas: of Adam.
        classified_share: share of a generator step's fakes that the classifier sees.
        averaging: decay of the average of the generator's weights that is kept in the end; None to
            keep the last weights.
        anomaly_steps: steps of AD.
        anomaly_batch: fakes, and near anomalies, in a step of AD.
        anomaly_batches: batches that are made and classified before AD's first step, and mixed in
            its steps; None to make the images of each step for it alone.
        anomaly_learning_rate: of AD's Adam at the first step.
        anomaly_last_learning_rate: of AD's Adam at the last step; it falls linearly.
    """

    architecture: Architecture
    anomaly_architecture: Architecture | None = None
    loss: Literal["wasserstein", "hinge"] = "wasserstein"
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 100
    critic_steps: int = 3
    penalty_weight: float = 10.0
    learning_rate: float = 2e-4
    last_learning_rate: float = 1e-9
    betas: tuple[float, float] = (0.9, 0.999)
    classified_share: float = 1.0
    averaging: float | None = None
    anomaly_steps: int = 1200
    anomaly_batch: int = 100
    anomaly_batches: int | None = None
    anomaly_learning_rate: float = 1e-3
    anomaly_last_learning_rate: float = 1e-3

    @property
    def detector(self) -> Architecture:
        """The architecture of AD."""
        return self.anomaly_architecture or self.architecture

    def generator_steps(self, images: int) -> int:
        """Return how many steps the generator takes on a training set of ``images`` images."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, self.epochs * (images // self.batch_size) // self.critic_steps)


PAPER_GREY = Recipe(architecture=MNIST, epochs=1500)
"""Sections 4.2 and 4.4: about 300,000 generator steps on MNIST, for a GPU."""

PAPER_COLOUR = Recipe(architecture=CIFAR10, epochs=1500, critic_steps=5)
"""Section 4.3."""

FAST = Recipe(
    architecture=Architecture(
        seed_length=64, generator_width=16, critic_width=16, growth=2, blocks="plain"
    ),
    steps=2500,
    batch_size=64,
    learning_rate=1e-3,
    betas=(0.5, 0.9),
    anomaly_steps=1000,
    anomaly_batches=200,
    anomaly_last_learning_rate=1e-9,
)
"""Minutes on two CPU cores, where the paper's recipe would take days.

Small networks whose convolutions mostly work at half the resolution or less, smaller batches,
and a larger learning rate with the betas that are usual for it. AD sees each of its images about
five times, since making and classifying them costs more than learning from them. The numbers of
steps and batches follow from the time that they may take; none was tuned on OOD images, though
results of other numbers on them had been seen.
"""

FAST_COLOUR = Recipe(
    architecture=Architecture(
        seed_length=128,
        generator_width=64,
        critic_width=64,
        growth=2,
        generator_limit=192,
        critic_limit=128,
        blocks="projected",
    ),
    anomaly_architecture=Architecture(seed_length=128, generator_width=64, critic_width=64),
    loss="hinge",
    steps=6500,
    batch_size=256,
    critic_steps=2,
    learning_rate=3e-4,
    betas=(0.0, 0.9),
    classified_share=0.5,
    averaging=0.999,
    anomaly_batches=400,
    anomaly_last_learning_rate=1e-9,
)
"""Minutes on a GPU and a night on two CPU cores, for photographs.

What is known to work for CIFAR-10 on such a budget: the networks of Miyato and Koyama (2018), the
hinge loss, Adam without momentum, two critic steps, and an average of the generator's weights. AD
is the paper's critic of a third of the width.
"""

TINY = replace(FAST, steps=1600)
"""A minute or two for images of 8x8 pixels."""


def recipe_for(name: RecipeName, shape: tuple[int, int, int]) -> Recipe:
    """Return a recipe by name for images of a shape.

    Args:
        name: ``"paper"`` takes Table 1 for grey images and Table 2 for colour images, ``"fast"``
            has larger networks for colour images, and ``"tiny"`` is the same for both.
        shape: (c, h, w) of the images.

    Raises:
        InvalidParameter: if there is no such recipe.
    """
    recipes = {
        "paper": PAPER_GREY if shape[0] == 1 else PAPER_COLOUR,
        "fast": FAST if shape[0] == 1 else FAST_COLOUR,
        "tiny": TINY,
    }
    if name not in recipes:
        raise InvalidParameter(f"ganad.recipe is '{name}'; it can be {', '.join(recipes)}")
    return recipes[name]


def check_parameters(alpha: float, *steps: int | None) -> None:
    """Check parameters that the detectors have in common.

    Raises:
        ValueError: if alpha is not in [0, 1], or a number of steps is below 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; it weighs two losses and lies between 0 and 1")
    for count in steps:
        if count is not None and count < 1:
            raise ValueError(f"a training has at least 1 step, not {count}")
