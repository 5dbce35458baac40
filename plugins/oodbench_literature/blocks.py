"""Convolutional networks of the DCGAN kind for images of any shape.

Images are padded with black to sides that can be halved as often as a network does, by strided 4x4
convolutions, and made images are cropped. All images are in [0, 1]: encoders bring them to [-1, 1],
and a decoder ends in a sigmoid, which is the tanh of the papers, in [0, 1].
"""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn
from torch.nn import functional

from oodbench_literature.system import Recipe

LEAK = 0.2
"""Slope of LeakyReLU for negative values."""


class Geometry:
    """Sides and channels of a network's maps, from the images down.

    Args:
        shape: (c, h, w) of the images.
        recipe: gives the width and the smallest maps.
    """

    def __init__(self, shape: tuple[int, int, int], recipe: Recipe) -> None:
        self.shape = shape
        channels, height, width = shape
        halvings = 1
        while -(-max(height, width) >> halvings) > recipe.smallest:
            halvings += 1
        self.channels = [channels, *(recipe.width << level for level in range(halvings))]
        self.smallest = (-(-height >> halvings), -(-width >> halvings))
        self.padding = (
            (self.smallest[1] << halvings) - width,
            (self.smallest[0] << halvings) - height,
        )

    @property
    def features(self) -> int:
        """How many values the smallest maps have."""
        return self.channels[-1] * math.prod(self.smallest)

    def pad(self, images: Tensor) -> Tensor:
        """Return images (n, c, h, w) with black to the right and below."""
        right, below = self.padding
        return functional.pad(images, (0, right, 0, below)) if right or below else images

    def crop(self, images: Tensor) -> Tensor:
        """Return images without what `pad` adds."""
        _, height, width = self.shape
        return images[..., :height, :width]


class Convolutions(nn.Module):
    """Strided convolutions from images to flat features: (n, c, h, w) to (n, f).

    Args:
        geometry: of the maps.
        normalise: whether all but the first are batch-normalised.
    """

    def __init__(self, geometry: Geometry, *, normalise: bool = True) -> None:
        super().__init__()
        self.geometry = geometry
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(itertools.pairwise(geometry.channels)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            if normalise and level:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(LEAK))
        self.body = nn.Sequential(*layers, nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = self.body(2 * self.geometry.pad(images) - 1)
        return features


class Encoder(nn.Module):
    """An encoder from images to latent vectors: (n, c, h, w) to (n, outputs).

    Args:
        shape: (c, h, w) of the images.
        recipe: gives the width and the smallest maps.
        outputs: length of the vectors; the recipe's ``latent`` if None.
        normalise: whether there is batch normalisation.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        recipe: Recipe,
        outputs: int | None = None,
        *,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        geometry = Geometry(shape, recipe)
        self.body = Convolutions(geometry, normalise=normalise)
        self.end = nn.Linear(geometry.features, outputs or recipe.latent)

    def forward(self, images: Tensor) -> Tensor:
        """Return the vectors, float32."""
        vectors: Tensor = self.end(self.body(images)).float()
        return vectors


class Decoder(nn.Module):
    """A decoder, or generator, from latent vectors to images: (n, latent) to (n, c, h, w).

    Args:
        shape: (c, h, w) of the images.
        recipe: gives width, latent and the smallest maps.
        normalise: whether there is batch normalisation.
    """

    def __init__(
        self, shape: tuple[int, int, int], recipe: Recipe, *, normalise: bool = True
    ) -> None:
        super().__init__()
        self.geometry = Geometry(shape, recipe)
        first, *others = self.geometry.channels[:0:-1]
        self.start = nn.Sequential(
            nn.Linear(recipe.latent, self.geometry.features),
            nn.Unflatten(1, (first, *self.geometry.smallest)),
        )
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([first, *others, shape[0]]):
            if normalise:
                layers.append(nn.BatchNorm2d(before))
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        self.body = nn.Sequential(*layers)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the images, float32 in (0, 1)."""
        maps = self.body(self.start(vectors))
        images: Tensor = self.geometry.crop(maps.float()).sigmoid()
        return images


class Discriminator(nn.Module):
    """A discriminator or critic of images: (n, c, h, w) to features (n, f) and values (n,).

    Args:
        shape: (c, h, w) of the images.
        recipe: gives the width and the smallest maps.
        normalise: whether there is batch normalisation.
    """

    def __init__(
        self, shape: tuple[int, int, int], recipe: Recipe, *, normalise: bool = True
    ) -> None:
        super().__init__()
        geometry = Geometry(shape, recipe)
        self.features = Convolutions(geometry, normalise=normalise)
        self.end = nn.Linear(geometry.features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the values, float32."""
        return self.value(self.features(images))

    def value(self, features: Tensor) -> Tensor:
        """Return the values of features, float32."""
        values: Tensor = self.end(features).float().squeeze(1)
        return values


def initialise(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02^2), as DCGAN does; those of batch normalisations from N(1, ...).

    Args:
        network: changed in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)


def image_mean(values: Tensor) -> Tensor:
    """Return the mean over the values of each image: (n, c, h, w) to (n,)."""
    return values.mean(dim=(1, 2, 3))


def image_sum(values: Tensor) -> Tensor:
    """Return the sum over the values of each image: (n, c, h, w) to (n,)."""
    return values.sum(dim=(1, 2, 3))


def real_loss(values: Tensor) -> Tensor:
    """Return the mean cross-entropy of calling images real, given logits: a scalar."""
    return functional.softplus(-values).mean()


def fake_loss(values: Tensor) -> Tensor:
    """Return the mean cross-entropy of calling images fake, given logits: a scalar."""
    return functional.softplus(values).mean()
