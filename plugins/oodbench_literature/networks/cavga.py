"""The networks of CAVGA: an adversarial VAE with a spatial code that attends to whole images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import (
    Convolutions,
    Decoder,
    Discriminator,
    Geometry,
    fake_loss,
    image_mean,
    image_sum,
    initialise,
    real_loss,
)
from oodbench_literature.cavga import CavgaRecipe
from oodbench_literature.training import Losses, Network, Training


class SpatialDecoder(Decoder):
    """A decoder from spatial codes: (n, latent, h', w') to (n, c, h, w).

    Args:
        shape: (c, h, w) of the images.
        recipe: gives width, latent and the smallest maps.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: CavgaRecipe) -> None:
        super().__init__(shape, recipe)
        self.start = nn.Sequential(nn.Conv2d(recipe.latent, self.geometry.channels[-1], 1))


class CavgaNetwork(Network):
    """Encoder and decoder.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: CavgaRecipe) -> None:
        super().__init__()
        self.shape = shape
        self.recipe = recipe
        self.geometry = Geometry(shape, recipe)
        channels = self.geometry.channels[-1]
        self.encoder = Convolutions(self.geometry)
        self.mean = nn.Conv2d(channels, recipe.latent, 1)
        self.log_variance = nn.Conv2d(channels, recipe.latent, 1)
        self.decoder = SpatialDecoder(shape, recipe)
        initialise(self)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last maps of the encoder: (n, f, h', w')."""
        maps: Tensor = self.encoder(images).unflatten(1, (-1, *self.geometry.smallest))
        return maps

    def code(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of q(z|x): (n, latent, h', w') each."""
        return self.mean(maps).float(), self.log_variance(maps).float()

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train them against a discriminator, and to attend to all of each image."""
        discriminator = Discriminator(self.shape, self.recipe).to(context.device)
        initialise(discriminator)
        training = Training("cavga", self.recipe, steps, context)
        adam = training.adam("networks", self)
        discriminator_adam = training.adam("discriminator", discriminator)

        def step(batch: Batch, _: float) -> Losses:
            images = batch.inputs
            maps = self.maps(images)
            mean, log_variance = self.code(maps)
            drawn = mean + (log_variance / 2).exp() * torch.randn_like(mean)
            made = self.decoder(drawn)
            attention = attend(drawn, maps).mean()
            losses = {
                "error": image_sum(
                    functional.binary_cross_entropy(made, images, reduction="none")
                ).mean(),
                "divergence": divergence(mean, log_variance).mean(),
                "adversarial": real_loss(discriminator(made)),
                "inattention": self.recipe.attention_weight * (1 - attention),
            }
            adam.step_on(torch.stack([*losses.values()]).sum())
            judged = real_loss(discriminator(images)) + fake_loss(discriminator(made.detach()))
            discriminator_adam.step_on(judged)
            return {**losses, "discriminator": judged, "attention": attention}

        training.run(train, step)

    def score(self, images: Tensor) -> Tensor:
        """Return the mean absolute error of what is decoded from the mean code: (n,)."""
        made = self.decoder(self.code(self.maps(images))[0])
        return image_mean((made - images).abs())


def attend(code: Tensor, maps: Tensor) -> Tensor:
    """Return the attention of a code to places, by Grad-CAM, which can be differentiated.

    Args:
        code: (n, latent, h', w'), computed from the maps.
        maps: (n, f, h', w').

    Returns:
        (n, h', w') float32 in (0, 1).
    """
    (gradient,) = torch.autograd.grad(code.sum(), maps, create_graph=True)
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    return (weights * maps.float()).sum(dim=1).sigmoid()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q(z|x) | p(z)) of spatial codes, p(z) being standard normal: (n,)."""
    return image_sum(mean.square() + log_variance.exp() - log_variance - 1) / 2
