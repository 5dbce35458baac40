"""Small convolutional networks that reconstruct images of any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 16
"""Channels after the first convolution; twice as many after the second."""

DRAWS = 8
"""Latent vectors that the bound of an image is averaged over when it is scored."""

LOG_VARIANCE = -3.0
"""Where the logarithm of the variance of pixels in [0, 1] starts: a deviation of 0.22."""


class Reconstructing(nn.Module, ABC):
    """A network that scores images by much the same loss as it is trained by."""

    @abstractmethod
    def loss(self, images: Tensor) -> Tensor:
        """Return the loss, a scalar, of images (n, c, h, w) in [0, 1]."""

    @abstractmethod
    def score(self, images: Tensor) -> Tensor:
        """Return how badly images (n, c, h, w) in [0, 1] are modelled: (n,) float64."""


def encoder(shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
    """Return a network from images (n, c, h, w) to (n, outputs) that halves their sides twice."""
    channels, *sides = shape
    height, width = map(_quarter, sides)
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * WIDTH * height * width, outputs),
    )


class Decoder(nn.Module):
    """The decoder from latent vectors to images: (n, latent) to (n, c, h, w) in (0, 1).

    Args:
        shape: (c, h, w) of the images.
        latent: how many numbers.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int) -> None:
        super().__init__()
        channels, *self._sides = shape
        self._halves = [_half(side) for side in self._sides]
        self._quarters = [_quarter(side) for side in self._sides]
        self.expand = nn.Linear(latent, 2 * WIDTH * math.prod(self._quarters))
        self.widen = nn.ConvTranspose2d(2 * WIDTH, WIDTH, 3, stride=2, padding=1)
        self.draw = nn.ConvTranspose2d(WIDTH, channels, 3, stride=2, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw the images."""
        maps = functional.relu(self.expand(latent)).unflatten(1, (2 * WIDTH, *self._quarters))
        maps = functional.relu(self.widen(maps, output_size=self._halves))
        images: Tensor = self.draw(maps, output_size=self._sides).sigmoid()
        return images


def _half(side: int) -> int:
    """Return the length of a side after a convolution of stride 2."""
    return (side + 1) // 2


def _quarter(side: int) -> int:
    return _half(_half(side))


class ConvolutionalAutoencoder(Reconstructing):
    """An autoencoder, trained by the mean squared error.

    Args:
        shape: (c, h, w) of the images.
        latent: numbers between encoder and decoder.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int) -> None:
        super().__init__()
        self.encoder = encoder(shape, latent)
        self.decoder = Decoder(shape, latent)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images (n, c, h, w) in [0, 1]."""
        drawn: Tensor = self.decoder(self.encoder(images - 0.5))
        return drawn

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean squared error over all pixels."""
        return functional.mse_loss(self(images), images)

    def score(self, images: Tensor) -> Tensor:
        """Return the mean squared error of each image, at least 0."""
        errors: Tensor = (self(images) - images).double().square().mean(dim=(1, 2, 3))
        return errors


class ConvolutionalVae(Reconstructing):
    """A variational autoencoder, trained by the negative evidence lower bound.

    Args:
        shape: (c, h, w) of the images.
        latent: numbers between encoder and decoder.
    """

    noise: Tensor

    def __init__(self, shape: tuple[int, int, int], latent: int) -> None:
        super().__init__()
        self.encoder = encoder(shape, 2 * latent)
        self.decoder = Decoder(shape, latent)
        self.log_variance = nn.Parameter(torch.tensor(LOG_VARIANCE))
        self.register_buffer("noise", torch.randn(DRAWS, latent))

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean of the negative bound, of one draw for each image, by value of pixels."""
        mean, log_variance = self._posterior(images)
        noise = torch.randn_like(mean)
        bound = _divergence(mean, log_variance) - self._likelihood(
            images, mean, log_variance, noise
        )
        return bound.mean() / images[0].numel()

    def score(self, images: Tensor) -> Tensor:
        """Return the negative bound of each image in nats, averaged over fixed draws."""
        mean, log_variance = self._posterior(images)
        likelihoods = [self._likelihood(images, mean, log_variance, noise) for noise in self.noise]
        return _divergence(mean, log_variance) - torch.stack(likelihoods).mean(dim=0)

    def _posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of q(z|x): (n, latent) each."""
        mean, log_variance = self.encoder(images - 0.5).chunk(2, dim=1)
        return mean, log_variance

    def _likelihood(
        self, images: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
    ) -> Tensor:
        """Return log p(x|z) of z drawn from q(z|x) by standard normal noise: (n,) float64."""
        drawn = self.decoder(mean + (log_variance / 2).exp() * noise)
        errors = (images - drawn).double().square().sum(dim=(1, 2, 3))
        scale = self.log_variance.double()
        terms = images[0].numel() * (scale + math.log(2 * math.pi))
        likelihood: Tensor = -(errors / scale.exp() + terms) / 2
        return likelihood


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q(z|x) | p(z)), p(z) standard normal (appendix B of the paper): (n,) float64."""
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return terms.double().sum(dim=1) / 2
