"""A generator and its discriminator, and their training as DCGAN or as WGAN-GP."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_ganad.optimization import AveragedWeights
from oodbench_literature.blocks import (
    Decoder,
    Discriminator,
    fake_loss,
    initialise,
    real_loss,
)
from oodbench_literature.gan import GanRecipe, Objective
from oodbench_literature.training import Losses, Training, renew_statistics


class GanNetwork(nn.Module):
    """Generator and discriminator.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
        objective: what they play for.
    """

    def __init__(
        self, shape: tuple[int, int, int], recipe: GanRecipe, objective: Objective
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.objective = objective
        self.generator = Decoder(shape, recipe)
        # a gradient penalty is of each image, and batch normalisation mixes them
        self.discriminator = Discriminator(shape, recipe, normalise=objective == "cross-entropy")
        if objective == "cross-entropy":
            initialise(self)

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train both on ID images."""
        training = Training(f"a GAN ({self.objective})", self.recipe, steps, context)
        generator_adam = training.adam("generator", self.generator)
        times = self.recipe.critic_steps
        discriminator_adam = training.adam("discriminator", self.discriminator, times=times)
        average = None
        if self.recipe.averaging is not None:
            average = AveragedWeights(self.generator, self.recipe.averaging)
            training.parts["average"] = average

        def step(batch: Batch, _: float) -> Losses:
            for images in batch.inputs.chunk(times):
                with torch.no_grad():
                    fakes = self.generator(self.draw(images))
                judged = self.judge(images, fakes)
                discriminator_adam.step_on(judged)
            fooled = self.fooled(self.generator(self.draw(images)))
            generator_adam.step_on(fooled)
            if average is not None:
                average.update()
            return {"discriminator": judged, "generator": fooled}

        training.run(train, step, batches=times)
        if average is not None:
            average.copy_to(self.generator)
            renew_statistics(
                self.generator, train, self.recipe, lambda images: self.generator(self.draw(images))
            )

    def draw(self, images: Tensor) -> Tensor:
        """Return a latent vector for each image."""
        return torch.randn(len(images), self.recipe.latent, device=images.device)

    def judge(self, images: Tensor, fakes: Tensor) -> Tensor:
        """Return the discriminator's loss: a scalar."""
        if self.objective == "cross-entropy":
            return real_loss(self.discriminator(images)) + fake_loss(self.discriminator(fakes))
        real, fake = self.discriminator(torch.cat([images, fakes])).chunk(2)
        mixing = torch.rand(len(images), 1, 1, 1, device=images.device)
        penalty = gradient_penalty(self.discriminator, torch.lerp(images, fakes, mixing))
        loss: Tensor = fake.mean() - real.mean() + self.recipe.penalty_weight * penalty
        return loss

    def fooled(self, fakes: Tensor) -> Tensor:
        """Return the generator's loss: a scalar."""
        values = self.discriminator(fakes)
        return real_loss(values) if self.objective == "cross-entropy" else -values.mean()


def gradient_penalty(critic: nn.Module, images: Tensor) -> Tensor:
    """Return the mean of (|d critic / d image| - 1)^2, which can be differentiated: a scalar.

    Args:
        critic: from images to values (n,).
        images: (n, c, h, w), between real images and fakes.
    """
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    norms = gradient.flatten(start_dim=1).norm(dim=1)
    return functional.mse_loss(norms, torch.ones_like(norms))
