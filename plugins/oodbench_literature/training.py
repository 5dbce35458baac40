"""The training of a system's networks, which resumes from its checkpoint."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contracts import Batch, Context, PluginError, Stream
from oodbench_ganad.batches import EndlessBatches
from oodbench_ganad.optimization import REPORT_EVERY, FallingAdam, reduced_precision
from oodbench_ganad.resuming import gather, scatter
from oodbench_literature.system import Recipe

Losses = Mapping[str, Tensor]
"""What a step reports, by name: scalars."""

STATISTICS = 20
"""Batches from which the batch normalisations of averaged weights take mean and variance."""


class Network(nn.Module, ABC):
    """The networks of a system, with what scoring reads besides, as buffers."""

    @abstractmethod
    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train on ID images (n, c, h, w) in [0, 1]; networks that do not score are left behind.

        Raises:
            PluginError: if the training diverges.
        """

    @abstractmethod
    def score(self, images: Tensor) -> Tensor:
        """Return one score for each of images (n, c, h, w) in [0, 1]: (n,); larger = more OOD."""


class Training:
    """One training, step by step, with progress and checkpoints.

    Args:
        name: of what is trained, for messages.
        recipe: its numbers.
        steps: how many.
        context: gives device, precision, checkpoint and progress. Steps draw from torch's global
            generators, which are seeded; a checkpoint holds their state.
    """

    def __init__(self, name: str, recipe: Recipe, steps: int, context: Context) -> None:
        self.name = name
        self.recipe = recipe
        self.steps = steps
        self.context = context
        self.parts: dict[str, Any] = {}

    def adam(self, name: str, *networks: nn.Module, times: int = 1) -> FallingAdam:
        """Return Adam for networks; it and they become parts of the checkpoint.

        Args:
            name: of the networks in the checkpoint.
            networks: on the context's device.
            times: how often it is used in a step.
        """
        together = nn.ModuleList(networks)
        recipe = self.recipe
        rates = (recipe.learning_rate, recipe.last_learning_rate, recipe.betas)
        adam = FallingAdam(together, self.steps * times, *rates)
        self.parts |= {name: together, f"{name}_adam": adam}
        return adam

    def run(self, train: Stream, step: Callable[[Batch, float], Losses], batches: int = 1) -> None:
        """Take all steps on shuffled batches, from the checkpoint on if there is one.

        Args:
            train: ID images.
            step: takes one step on a batch, given the share of the steps that is done, in the
                precision of the context; its losses are to be float32.
            batches: how many batches of the recipe's size a step takes at once.

        Raises:
            PluginError: if a loss is no longer finite.
        """
        size = min(self.recipe.batch_size * batches, len(train))
        supply = EndlessBatches(train, size, self.context.generator())
        position = _Position(self.context.device)
        parts = {**self.parts, "batches": supply, "position": position}
        checkpoint = self.context.checkpoint
        saved = checkpoint.load()
        if saved is not None:
            scatter(saved, parts)
        while position.done < self.steps:
            batch = supply.next()
            with reduced_precision(self.context), torch.enable_grad():
                losses = step(batch, position.done / self.steps)
            position.done += 1
            if position.done % REPORT_EVERY == 0 or position.done == self.steps:
                self._report(position.done, losses)
                if checkpoint.is_due():
                    checkpoint.save(gather(parts))

    def _report(self, done: int, losses: Losses) -> None:
        figures = {name: loss.item() for name, loss in losses.items()}
        if not all(map(math.isfinite, figures.values())):
            raise PluginError(
                f"the training of {self.name} diverged by step {done} of {self.steps}: a loss is "
                "not finite; try another recipe or float32"
            )
        self.context.progress(done, self.steps, **figures)


class _Position:
    """The place of a training: how many steps are done, and torch's random generators.

    Args:
        device: that steps draw on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.done = 0

    def state(self) -> dict[str, Tensor | int]:
        """Return what `restore` needs to resume from here."""
        state: dict[str, Tensor | int] = {"done": self.done, "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self.done = state["done"]
        torch.set_rng_state(state["cpu"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)


def renew_statistics(
    network: nn.Module, train: Stream, recipe: Recipe, forward: Callable[[Tensor], object]
) -> None:
    """Let the batch normalisations of averaged weights see `STATISTICS` batches.

    Args:
        network: in training mode.
        train: ID images.
        recipe: of the training.
        forward: passes the network, given images (n, c, h, w).
    """
    norms = [
        each for each in network.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    supply = EndlessBatches(train, min(recipe.batch_size, len(train)), torch.Generator())
    with torch.no_grad():
        for _ in range(STATISTICS):
            forward(supply.next().inputs)
