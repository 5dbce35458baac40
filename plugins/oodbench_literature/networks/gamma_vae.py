"""The variational autoencoder of gamma-VAE grad, and the search for the nearest normal image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import Decoder, Encoder, image_sum
from oodbench_literature.gamma_vae_grad import GammaVaeRecipe
from oodbench_literature.search import careful_descent
from oodbench_literature.training import Losses, Network, Training

LOG_VARIANCE = -3.0
"""Where the logarithm of the variance of pixels starts."""


class GammaVae(Network):
    """Encoder and decoder, with one learned variance gamma of all pixels.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of training and search.
        moved: whether the score compares an image with the changed one, not with what is made of
            that.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: GammaVaeRecipe, *, moved: bool) -> None:
        super().__init__()
        self.recipe = recipe
        self.moved = moved
        self.encoder = Encoder(shape, recipe, 2 * recipe.latent, normalise=False)
        self.decoder = Decoder(shape, recipe, normalise=False)
        self.log_variance = nn.Parameter(torch.tensor(LOG_VARIANCE))

    def forward(self, images: Tensor) -> Tensor:
        """Return f(x), what is decoded from the mean of q(z|x)."""
        made: Tensor = self.decoder(self.encoder(images).chunk(2, dim=1)[0])
        return made

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean negative bound, of one draw for each image, by value of pixels."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        drawn = self.decoder(mean + (log_variance / 2).exp() * torch.randn_like(mean))
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1) / 2
        values = images[0].numel()
        constant = values * (self.log_variance + math.log(2 * math.pi))
        errors = image_sum((images - drawn).square())
        bound = divergence + (errors * (-self.log_variance).exp() + constant) / 2
        loss: Tensor = bound.mean() / values
        return loss

    def energy(self, images: Tensor, queries: Tensor) -> Tensor:
        """Return gamma E of images that were changed from queries: (n,)."""
        return self._energy(images, self(images), queries)

    def _energy(self, images: Tensor, made: Tensor, queries: Tensor) -> Tensor:
        errors = image_sum((images - made).square()) / 2
        closeness = self.recipe.closeness * self.log_variance.exp()
        return errors + closeness * image_sum((images - queries).abs())

    def search(self, queries: Tensor) -> Tensor:
        """Return images near queries, changed so that E falls."""

        def look(images: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                images = images.detach().requires_grad_()
                made = self(images)
                energies = self._energy(images, made, queries)
                (gradient,) = torch.autograd.grad(energies.sum(), images)
            return energies.detach(), gradient * (images - made).detach().square()

        recipe = self.recipe
        found, _ = careful_descent(look, queries, recipe.iterations, recipe.step)
        return found

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train by the negative bound."""
        training = Training("gamma-vae-grad", self.recipe, steps, context)
        adam = training.adam("networks", self)

        def step(batch: Batch, _: float) -> Losses:
            loss = self.loss(batch.inputs)
            adam.step_on(loss)
            return {"loss": loss}

        training.run(train, step)

    def score(self, images: Tensor) -> Tensor:
        """Return the squared distance of images from what was found for them: (n,)."""
        found = self.search(images)
        nearest = found if self.moved else self(found)
        return image_sum((images - nearest).square())
