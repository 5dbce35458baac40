"""The networks of f-AnoGAN: a trained GAN, and an encoder from images to its latent vectors."""

from __future__ import annotations

from torch import Tensor

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import Encoder, image_mean
from oodbench_literature.gan import GanRecipe
from oodbench_literature.networks.gan import GanNetwork
from oodbench_literature.system import Recipe
from oodbench_literature.training import Losses, Network, Training


class FAnoganNetwork(Network):
    """Generator, critic and encoder.

    Args:
        shape: (c, h, w) of the images.
        gan: the numbers of the GAN.
        recipe: the numbers of the encoder's training.
    """

    def __init__(self, shape: tuple[int, int, int], gan: GanRecipe, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.gan = GanNetwork(shape, gan, "wasserstein")
        self.encoder = Encoder(shape, recipe, gan.latent)

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Take the GAN, which is trained already, and train the encoder."""
        self.gan.load_state_dict(context.parts["gan"].network_.state_dict())
        self.gan.eval().requires_grad_(False)
        training = Training("f-anogan", self.recipe, steps, context)
        adam = training.adam("encoder", self.encoder)

        def step(batch: Batch, _: float) -> Losses:
            loss = self.score(batch.inputs).mean()
            adam.step_on(loss)
            return {"loss": loss}

        training.run(train, step)

    def score(self, images: Tensor) -> Tensor:
        """Return the mean squared errors of pixels and features, added: (n,)."""
        made = self.gan.generator(self.encoder(images))
        features = self.gan.discriminator.features
        difference = (features(made) - features(images)).float()
        errors = 4 * image_mean((made - images).square())  # of images in [-1, 1]
        scores: Tensor = errors + difference.square().mean(dim=1)
        return scores
