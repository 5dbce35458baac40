"""The training of the conditional WGAN-GP with the classifier in the loop (section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contracts import Context, PluginError, Stream
from oodbench_ganad import losses, seeds
from oodbench_ganad.batches import EndlessBatches
from oodbench_ganad.optimization import (
    REPORT_EVERY,
    AveragedWeights,
    FallingAdam,
    reduced_precision,
)
from oodbench_ganad.recipes import Recipe
from oodbench_ganad.replaying import Replayed
from oodbench_ganad.resuming import gather, scatter

STATISTICS = 20
"""Batches from which an averaged generator's batch normalisations take mean and variance."""


class AdversarialTraining:
    """One training of generator and critic, by Algorithm 1 of Gulrajani et al. (2017).

    Args:
        generator: G, on the context's device.
        critic: D, on the context's device.
        recipe: every number of the training.
        alpha: weight of the adversarial loss in equation (2).
        steps: generator steps.
        context: gives device, seed, precision, classifier and progress.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        recipe: Recipe,
        alpha: float,
        steps: int,
        context: Context,
    ) -> None:
        self.generator = generator
        self.critic = critic
        self.recipe = recipe
        self.alpha = alpha
        self.steps = steps
        self.context = context
        self.draws = seeds.device_generator(context, stream=1)
        averaging = recipe.averaging
        self.average = None if averaging is None else AveragedWeights(generator, averaging)
        rates = (recipe.learning_rate, recipe.last_learning_rate, recipe.betas)
        self.generator_optimizer = FallingAdam(generator, steps, *rates)
        self.critic_optimizer = FallingAdam(critic, steps * recipe.critic_steps, *rates)

    def run(self, train: Stream) -> None:
        """Train on ID images for all steps, resuming from the checkpoint if there is one.

        Raises:
            PluginError: if a loss is no longer finite.
        """
        device = self.context.device
        size = min(self.recipe.batch_size, len(train))
        batches = EndlessBatches(train, size, self.context.generator(2))
        parts = self._parts(batches)
        checkpoint = self.context.checkpoint
        saved = checkpoint.load()
        if saved is not None:
            scatter(saved, parts)
        iterate: Callable[..., tuple[losses.CriticLoss, losses.GeneratorLoss]] = self._iterate
        if self.recipe.loss == "hinge":  # a gradient penalty was not recorded on a GPU yet
            iterate = Replayed(self._iterate, self.draws)
        for step in range(self.generator_optimizer.done + 1, self.steps + 1):
            self.critic_optimizer.advance(self.recipe.critic_steps)
            self.generator_optimizer.advance(1)
            drawn = [batches.next() for _ in range(self.recipe.critic_steps)]
            critic_loss, generator_loss = iterate(
                [batch.inputs.to(device, non_blocking=True) for batch in drawn],
                [batch.labels.to(device, non_blocking=True) for batch in drawn],
            )
            if step % REPORT_EVERY == 0 or step == self.steps:
                self._report(step, critic_loss, generator_loss)
                if checkpoint.is_due():
                    checkpoint.save(gather(parts))
        if self.average is not None:
            self.average.copy_to(self.generator)
            self._gather_statistics(size)

    def _iterate(
        self, real: list[Tensor], classes: list[Tensor]
    ) -> tuple[losses.CriticLoss, losses.GeneratorLoss]:
        """Take the critic's steps on batches of real images, then one of the generator."""
        for each in zip(real, classes, strict=True):
            critic_loss = self.critic_step(*each)
        return critic_loss, self.generator_step(len(real[0]))

    def _parts(self, batches: EndlessBatches) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        parts = {
            "draws": self.draws,
            "generator": self.generator,
            "critic": self.critic,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "batches": batches,
        }
        return parts if self.average is None else parts | {"average": self.average}

    def critic_step(self, real: Tensor, classes: Tensor) -> losses.CriticLoss:
        """Take one step down the critic's loss; the fakes are made without a graph."""
        mixing = torch.rand(len(real), device=real.device, generator=self.draws)
        with reduced_precision(self.context):
            with torch.no_grad():
                fakes = self.generator(self._draw_seeds(len(real)), classes)
            if self.recipe.loss == "hinge":
                result = losses.hinge_loss(self.critic, real, fakes, classes)
            else:
                result = losses.critic_loss(
                    self.critic, real, fakes, classes, mixing, self.recipe.penalty_weight
                )
        self.critic_optimizer.descend(result.loss)
        return result

    def generator_step(self, size: int) -> losses.GeneratorLoss:
        """Take one step down equation (2), on ``size`` fakes of random classes."""
        classes = self._draw_classes(size)
        with reduced_precision(self.context):
            fakes = self.generator(self._draw_seeds(size), classes)
            classified = max(1, round(size * self.recipe.classified_share))
            result = losses.generator_loss(
                self.critic, self.context.classifier, fakes, classes, self.alpha, classified
            )
        self.generator_optimizer.descend(result.loss)
        if self.average is not None:
            self.average.update()
        return result

    def _gather_statistics(self, size: int) -> None:
        """Let the batch normalisations of the averaged generator see `STATISTICS` batches."""
        norms = [each for each in self.generator.modules() if isinstance(each, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        with torch.no_grad(), reduced_precision(self.context):
            for _ in range(STATISTICS):
                self.generator(self._draw_seeds(size), self._draw_classes(size))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _draw_classes(self, count: int) -> Tensor:
        return torch.randint(
            self.context.num_classes, (count,), device=self.context.device, generator=self.draws
        )

    def _draw_seeds(self, count: int) -> Tensor:
        return seeds.draw_fakes(count, self.recipe.architecture.seed_length, self.draws)

    def _report(
        self, step: int, critic: losses.CriticLoss, generator: losses.GeneratorLoss
    ) -> None:
        figures = {
            "critic_loss": critic.loss.item(),
            "wasserstein": critic.distance.item(),
            "penalty": critic.penalty.item(),
            "generator_loss": generator.loss.item(),
            "fake_accuracy": generator.accuracy.item(),
        }
        if not all(map(math.isfinite, figures.values())):
            raise PluginError(
                f"GANAD's generator diverged by step {step} of {self.steps}: a loss is not "
                "finite; try another recipe or float32"
            )
        self.context.progress(step, self.steps, **figures)
