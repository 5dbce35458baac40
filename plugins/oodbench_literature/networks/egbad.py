"""The networks of EGBAD: a BiGAN, whose discriminator sees images with their latent vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oodbench.contracts import Batch, Context, Stream
from oodbench_ganad.optimization import AveragedWeights
from oodbench_literature.blocks import (
    LEAK,
    Convolutions,
    Decoder,
    Encoder,
    Geometry,
    fake_loss,
    image_sum,
    initialise,
    real_loss,
)
from oodbench_literature.egbad import EgbadRecipe
from oodbench_literature.training import Losses, Network, Training, renew_statistics


class PairDiscriminator(nn.Module):
    """A discriminator of pairs of image and latent vector.

    Args:
        shape: (c, h, w) of the images.
        recipe: gives widths and latent.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: EgbadRecipe) -> None:
        super().__init__()
        geometry = Geometry(shape, recipe)
        hidden, dropout = recipe.hidden, recipe.dropout
        self.images = nn.Sequential(Convolutions(geometry), nn.Dropout(dropout))
        self.vectors = nn.Sequential(
            nn.Linear(recipe.latent, hidden // 2), nn.LeakyReLU(LEAK), nn.Dropout(dropout)
        )
        self.both = nn.Sequential(
            nn.Linear(geometry.features + hidden // 2, hidden),
            nn.LeakyReLU(LEAK),
            nn.Dropout(dropout),
        )
        self.end = nn.Linear(hidden, 1)

    def features(self, images: Tensor, vectors: Tensor) -> Tensor:
        """Return the last hidden values for pairs: (n, hidden) float32."""
        features: Tensor = self.both(torch.cat([self.images(images), self.vectors(vectors)], dim=1))
        return features.float()

    def forward(self, images: Tensor, vectors: Tensor) -> Tensor:
        """Return a logit for each pair, larger for images with encoded vectors: (n,) float32."""
        values: Tensor = self.end(self.features(images, vectors)).float().squeeze(1)
        return values


class EgbadNetwork(Network):
    """Encoder, generator and discriminator.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: EgbadRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder = Encoder(shape, recipe)
        self.generator = Decoder(shape, recipe)
        self.discriminator = PairDiscriminator(shape, recipe)
        initialise(self)

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train all of them: a step of the discriminator, then one of encoder and generator."""
        training = Training("egbad", self.recipe, steps, context)
        discriminator_adam = training.adam("discriminator", self.discriminator)
        adam = training.adam("networks", self.encoder, self.generator)
        average = AveragedWeights(self, self.recipe.averaging)
        training.parts["average"] = average

        def step(batch: Batch, _: float) -> Losses:
            images = batch.inputs
            vectors, made, drawn = self.pairs(images)
            judge = self.discriminator
            judged = real_loss(judge(images, vectors.detach())) + fake_loss(
                judge(made.detach(), drawn)
            )
            discriminator_adam.step_on(judged)
            fooled = real_loss(judge(made, drawn)) + fake_loss(judge(images, vectors))
            adam.step_on(fooled)
            average.update()
            return {"discriminator": judged, "networks": fooled}

        training.run(train, step)
        average.copy_to(self)
        renew_statistics(self, train, self.recipe, self.statistics)

    def pairs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the encoded vectors of images, and made images with the vectors they are of."""
        vectors = self.encoder(images)
        drawn = torch.randn_like(vectors)
        return vectors, self.generator(drawn), drawn

    def statistics(self, images: Tensor) -> None:
        """Pass images and made images through all networks."""
        vectors, made, drawn = self.pairs(images)
        self.discriminator(images, vectors)
        self.discriminator(made, drawn)

    def score(self, images: Tensor) -> Tensor:
        """Return the error of the reconstruction and that of its features, weighted: (n,)."""
        vectors = self.encoder(images)
        made = self.generator(vectors)
        error = 2 * image_sum((made - images).abs())  # of images in [-1, 1]
        features = self.discriminator.features
        difference = (features(images, vectors) - features(made, vectors)).abs().sum(dim=1)
        weight = self.recipe.feature_weight
        scores: Tensor = (1 - weight) * error + weight * difference
        return scores
