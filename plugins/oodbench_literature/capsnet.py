"""Capsule networks: no class is present (CapsNet PP), or the image cannot be drawn (CapsNet RE)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    Need,
    Paper,
    PluginError,
    State,
    Stream,
    Trainable,
)
from oodbench_literature.system import Recipe, RecipeName, check_parameters

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench_literature.networks.capsnet import CapsuleNetwork

PAPER = Paper(
    title="Exploring Deep Anomaly Detection Methods Based on Capsule Net",
    authors="Li et al.",
    venue="ICML Workshop",
    year=2019,
    url="https://arxiv.org/abs/1907.06312",
)

DEVIATIONS = (
    "The paper's text was not available; the network is that of Sabour et al. (2017), and training "
    "and scores are as reported by others.",
    "Both detectors share one network, the same for all their seeds.",
    "Recipe fast: an eighth of the channels, a quarter of the primary capsules and half of the "
    "decoder, and 600 steps of 64 images whose learning rate falls to 0.",
)


@dataclass(frozen=True, kw_only=True)
class CapsuleRecipe(Recipe):
    """The numbers of a capsule network; ``latent`` are the dimensions of a class's capsule.

    Attributes:
        types: of primary capsules.
        kernel: side of both convolutions.
        hidden: values in the first layer of the decoder; the second has twice as many.
        routing: iterations.
    """

    types: int
    kernel: int = 9
    hidden: int = 512
    routing: int = 3


class Capsules(Trainable):
    """A capsule network that learns the classes of the ID images, and to draw these again.

    Args:
        recipe: how to train.
        steps: of the training; those of the recipe if None.
        network_seed: seed of the training.

    Attributes:
        network_: the network, in evaluation mode.
    """

    needs = frozenset({Need.INPUTS})
    stochastic = True
    recipes: ClassVar = {
        "paper": CapsuleRecipe(
            width=256,
            latent=16,
            types=32,
            batch_size=128,
            learning_rate=1e-3,
            betas=(0.9, 0.999),
            epochs=10,
        ),
        "fast": CapsuleRecipe(
            width=32,
            latent=16,
            types=8,
            learning_rate=3e-3,
            betas=(0.9, 0.999),
            steps=600,
            hidden=256,
        ),
        "tiny": CapsuleRecipe(
            width=8,
            latent=8,
            types=2,
            kernel=3,
            learning_rate=1e-2,
            betas=(0.9, 0.999),
            steps=80,
            hidden=32,
        ),
    }

    def __init__(
        self, *, recipe: RecipeName = "fast", steps: int | None = None, network_seed: int = 0
    ) -> None:
        self.recipe = recipe
        self.steps = steps
        self.network_seed = network_seed

    def fit(self, train: Stream, context: Context) -> Self:
        """Train the network.

        Raises:
            PluginError: if the training diverges.
        """
        import torch

        context = replace(context, seed=self.network_seed)
        torch.manual_seed(self.network_seed)
        recipe = self.recipes[self.recipe]
        self._place(context)
        self.network_.learn(train, self.steps or recipe.steps_on(len(train)), context)
        self.network_.eval().requires_grad_(False)
        return self

    def _place(self, context: Context) -> None:
        from oodbench_ganad.networks import place
        from oodbench_literature.networks.capsnet import CapsuleNetwork

        network = CapsuleNetwork(context.shape, context.num_classes, self.recipes[self.recipe])
        self.network_ = place(network, context.device)

    def state(self) -> State:
        """Return the weights of the network."""
        return self.network_.state_dict()

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the network and load its weights."""
        self._place(context)
        self.network_.load_state_dict(dict(state))
        self.network_.eval().requires_grad_(False)
        return self


class Capsnet(Detector):
    """A detector by the capsule network.

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        network_seed: seed of the network's training, one for all seeds of the detector.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    family = "literature"
    needs = frozenset({Need.INPUTS})
    fit_needs = frozenset()
    network_: CapsuleNetwork

    def __init__(
        self, *, recipe: RecipeName = "fast", steps: int | None = None, network_seed: int = 0
    ) -> None:
        check_parameters(self.info.name, recipe, steps)
        self.recipe = recipe
        self.steps = steps
        self.network_seed = network_seed

    def parts(self) -> Mapping[str, Capsules]:
        """Return the network that both detectors share."""
        return {"capsules": self._capsules()}

    def _capsules(self) -> Capsules:
        return Capsules(recipe=self.recipe, steps=self.steps, network_seed=self.network_seed)

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the network, which is trained already."""
        self.network_ = context.parts["capsules"].network_
        return self

    def state(self) -> State:
        """Return the weights of the network."""
        return self.network_.state_dict()

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the network and load its weights."""
        self.network_ = self._capsules().restore(state, context).network_
        return self

    @abstractmethod
    def score(self, batch: Batch) -> Tensor:
        """Return the scores, computed in float32: (n,)."""


class CapsnetPp(Capsnet):
    """Score by the absence of all classes: 1 - max_k |v_k|, of the classes' capsules v_k.

    The lengths of the capsules are the network's probabilities that a class is present
    ("prediction probability").

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        network_seed: as of `Capsnet`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="capsnet-pp",
        title="CapsNet PP (after Li et al.)",
        summary="No class is present, by the capsules of a network",
        paper=PAPER,
        deviations=DEVIATIONS,
    )

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the network.

        Raises:
            PluginError: if there is one class, which the network then finds in every image.
        """
        if context.num_classes < 2:
            raise PluginError("needs at least 2 classes: it learns them from each other")
        return super().fit(train, context)

    def score(self, batch: Batch) -> Tensor:
        """Return 1 - max_k |v_k|: (n,) float32."""
        return self.network_.absence(batch.inputs)


class CapsnetRe(Capsnet):
    """Score by the error of what is drawn of the longest capsule: |x - r(x)|^2 / |x|^2.

    Images darker than a mean square of 0.01 are taken for that bright.

    Args:
        recipe: as of `System`.
        steps: as of `System`.
        network_seed: as of `Capsnet`.

    Raises:
        InvalidParameter: if one of them has no such value.
    """

    info = Info(
        name="capsnet-re",
        title="CapsNet RE (after Li et al.)",
        summary="Large error of what a network draws of the capsule of the class that it sees",
        paper=PAPER,
        deviations=DEVIATIONS,
    )

    def score(self, batch: Batch) -> Tensor:
        """Return |x - r(x)|^2 / |x|^2: (n,) float32."""
        return self.network_.error(batch.inputs)
