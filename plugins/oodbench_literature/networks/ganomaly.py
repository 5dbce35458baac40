"""The networks of GANomaly: encoder, decoder, second encoder, discriminator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import (
    Decoder,
    Discriminator,
    Encoder,
    fake_loss,
    initialise,
    real_loss,
)
from oodbench_literature.system import Recipe
from oodbench_literature.training import Losses, Network, Training

ERROR_WEIGHT = 100.0
"""Weight of the mean absolute error in [0, 1], which is 50 in [-1, 1]."""


class GanomalyNetwork(Network):
    """Encoder, decoder and second encoder.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
        squared: whether the score is the mean squared difference of the latent vectors.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: Recipe, *, squared: bool) -> None:
        super().__init__()
        self.shape = shape
        self.recipe = recipe
        self.squared = squared
        self.encoder = Encoder(shape, recipe)
        self.decoder = Decoder(shape, recipe)
        self.second = Encoder(shape, recipe)
        initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return latent vectors of images, images made of them, and latent vectors of these."""
        vectors = self.encoder(images)
        made = self.decoder(vectors)
        return vectors, made, self.second(made)

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train all of them against a discriminator, generator first in each step."""
        discriminator = Discriminator(self.shape, self.recipe).to(context.device)
        initialise(discriminator)
        training = Training("ganomaly", self.recipe, steps, context)
        generator_adam = training.adam("generator", self)
        discriminator_adam = training.adam("discriminator", discriminator)

        def step(batch: Batch, _: float) -> Losses:
            images = batch.inputs
            vectors, made, again = self(images)
            with torch.no_grad():
                expected = discriminator.features(images).float()
            losses = {
                "adversarial": functional.mse_loss(discriminator.features(made).float(), expected),
                "error": functional.l1_loss(made, images),
                "latent_error": functional.mse_loss(again, vectors),
            }
            weights = torch.tensor([1.0, ERROR_WEIGHT, 1.0], device=images.device)
            generator_adam.step_on(weights @ torch.stack([*losses.values()]))
            judged = real_loss(discriminator(images)) + fake_loss(discriminator(made.detach()))
            discriminator_adam.step_on(judged / 2)
            return {**losses, "discriminator": judged / 2}

        training.run(train, step)

    def score(self, images: Tensor) -> Tensor:
        """Return how far apart the two latent vectors of each image are: (n,)."""
        vectors, _, again = self(images)
        difference = again - vectors
        distances: Tensor = difference.square() if self.squared else difference.abs()
        return distances.mean(dim=1)
