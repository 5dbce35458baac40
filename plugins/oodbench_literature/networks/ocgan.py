"""The networks of OCGAN: an autoencoder with a bounded code, and what it is trained against."""

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
from oodbench_literature.ocgan import OcganRecipe
from oodbench_literature.search import differentiate
from oodbench_literature.training import Losses, Network, Training

HIDDEN = (128, 64, 32, 16)
"""Values in the layers of the discriminator of codes."""


class OcganNetwork(Network):
    """Encoder and decoder, with codes in (-1, 1).

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: OcganRecipe) -> None:
        super().__init__()
        self.shape = shape
        self.recipe = recipe
        self.encoder = Encoder(shape, recipe)
        self.decoder = Decoder(shape, recipe)

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes of images: (n, latent) in (-1, 1)."""
        codes: Tensor = self.encoder(images).tanh()
        return codes

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train them against two discriminators, on codes that a classifier finds out of class."""
        rivals = Rivals(self.shape, self.recipe).to(context.device)
        training = Training("ocgan", self.recipe, steps, context)
        adam = training.adam("networks", self)
        rivals_adam = training.adam("rivals", rivals)
        deviation = self.recipe.noise**0.5

        def step(batch: Batch, done: float) -> Losses:
            images = batch.inputs
            codes = self.encode(images + deviation * torch.randn_like(images))
            made = self.decoder(codes)
            drawn = 2 * torch.rand_like(codes) - 1
            with torch.no_grad():
                fakes = self.decoder(drawn)
            judged = {
                "classifier": real_loss(rivals.classifier(made.detach()))
                + fake_loss(rivals.classifier(fakes)),
                "codes": real_loss(rivals.codes(drawn)) + fake_loss(rivals.codes(codes.detach())),
                "images": real_loss(rivals.images(images)) + fake_loss(rivals.images(fakes)),
            }
            rivals_adam.step_on(torch.stack([*judged.values()]).sum())
            if done >= self.recipe.mining_from:
                drawn = self.mine(drawn, rivals.classifier)
            error = functional.mse_loss(made, images)
            fooled = real_loss(rivals.codes(codes)) + real_loss(rivals.images(self.decoder(drawn)))
            adam.step_on(self.recipe.error_weight * error + fooled)
            return {"error": error, "fooled": fooled, **judged}

        training.run(train, step)

    def mine(self, codes: Tensor, classifier: nn.Module) -> Tensor:
        """Return codes (n, latent) moved to where the classifier finds images out of class."""
        for _ in range(self.recipe.mining_steps):
            _, gradient = differentiate(
                lambda each: functional.softplus(classifier(self.decoder(each))), codes
            )
            length = gradient.norm(dim=1, keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
            codes = (codes - self.recipe.mining_rate * gradient / length).clamp(-1, 1)
        return codes

    def score(self, images: Tensor) -> Tensor:
        """Return the mean squared error of each image's reconstruction: (n,)."""
        made = self.decoder(self.encode(images))
        return image_mean((made - images).square())


class Rivals(nn.Module):
    """The discriminators of codes and of images, and the classifier of images.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: OcganRecipe) -> None:
        super().__init__()
        self.images = Discriminator(shape, recipe.judging)
        self.classifier = Discriminator(shape, recipe)
        layers: list[nn.Module] = []
        before = recipe.latent
        for after in HIDDEN:
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
            before = after
        self.codes = nn.Sequential(*layers, nn.Linear(before, 1), nn.Flatten(0))
