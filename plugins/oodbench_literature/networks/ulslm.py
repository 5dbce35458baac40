"""The networks of ULSLM: an indicator, a comparator, and a generator of hard cases for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import (
    Decoder,
    Discriminator,
    Encoder,
    fake_loss,
    image_mean,
    real_loss,
)
from oodbench_literature.system import Recipe
from oodbench_literature.training import Losses, Network, Training

CLOSENESS = 100.0
"""mu, of the mean absolute distance of a made image from the one it is made of."""


class Redrawing(nn.Module):
    """A generator that makes an image of an image: (n, c, h, w) in [0, 1] to the same.

    Args:
        shape: (c, h, w) of the images.
        recipe: gives widths and latent.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: Recipe) -> None:
        super().__init__()
        self.encoder = Encoder(shape, recipe)
        self.decoder = Decoder(shape, recipe)

    def forward(self, images: Tensor) -> Tensor:
        """Return the made images, float32."""
        made: Tensor = self.decoder(self.encoder(images))
        return made


class UlslmNetwork(Network):
    """The indicator c, the comparator h and its generator.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
        judge: what scores.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: Recipe, judge: str) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape = shape
        self.recipe = recipe
        self.judge = judge
        self.indicator = Discriminator(shape, recipe)
        self.comparator = Discriminator((2 * channels, height, width), recipe)
        self.rival = Redrawing(shape, recipe)

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Return logits of h, larger where the first image has the larger value: (n,)."""
        logits: Tensor = self.comparator(torch.cat([first, second], dim=1))
        return logits

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train all of them, and the generator of the indicator, in turns."""
        forger = Redrawing(self.shape, self.recipe).to(context.device)
        training = Training("ulslm", self.recipe, steps, context)
        indicator_adam = training.adam("indicator", self.indicator)
        comparator_adam = training.adam("comparator", self.comparator)
        forger_adam = training.adam("forger", forger)
        rival_adam = training.adam("rival", self.rival)

        def step(batch: Batch, _: float) -> Losses:
            images = batch.inputs
            forged, rivals = forger(images), self.rival(images)
            with torch.no_grad():  # near images are outside, or lower by the comparator
                weights = 1 - self.compare(images, forged).sigmoid()
            outside = functional.softplus(self.indicator(forged.detach()))
            inside = real_loss(self.indicator(images)) + (weights * outside).mean()
            indicator_adam.step_on(inside)
            lower = rivals.detach()
            higher = real_loss(self.compare(images, lower)) + fake_loss(self.compare(lower, images))
            comparator_adam.step_on(higher)
            forging = real_loss(self.indicator(forged)) + CLOSENESS * functional.l1_loss(
                forged, images
            )
            forger_adam.step_on(forging)
            rivalling = (
                fake_loss(self.compare(images, rivals))
                + real_loss(self.indicator(rivals))
                + CLOSENESS * functional.l1_loss(rivals, images)
            )
            rival_adam.step_on(rivalling)
            return {
                "indicator": inside,
                "comparator": higher,
                "forger": forging,
                "rival": rivalling,
            }

        training.run(train, step)

    def score(self, images: Tensor) -> Tensor:
        """Return how far each image is from a local maximum inside the set: (n,)."""
        match self.judge:
            case "comparator":
                return -self.compare(images, self.rival(images))
            case "indicator":
                value: Tensor = self.indicator(images)
                return -value
            case _:
                return image_mean((self.rival(images) - images).square())
