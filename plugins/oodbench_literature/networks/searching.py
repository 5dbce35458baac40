"""Searches in the latent space of a GAN: AnoGAN's and ADGAN's."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from oodbench.contracts import Context, Stream
from oodbench_literature.adgan import AdganSearch
from oodbench_literature.blocks import image_sum
from oodbench_literature.gan import GanRecipe, Objective, Search
from oodbench_literature.networks.gan import GanNetwork
from oodbench_literature.search import PointLosses, adam_search
from oodbench_literature.training import Network

FEATURES = 0.1
"""lambda, the share of the discriminator's features in AnoGAN's loss."""

CHUNK = 8
"""Images at once where each search has a generator of its own."""


class Searching(Network):
    """A trained GAN, with the latent vectors that searches start from.

    Args:
        shape: (c, h, w) of the images.
        recipe: of the GAN.
        objective: of the GAN.
        search: the numbers of the search.
    """

    bank: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        recipe: GanRecipe,
        objective: Objective,
        search: Search,
    ) -> None:
        super().__init__()
        self.gan = GanNetwork(shape, recipe, objective)
        self.numbers = search
        self.register_buffer("bank", torch.randn(search.among or search.starts, recipe.latent))

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Take the GAN, which is trained already."""
        self.gan.load_state_dict(context.parts["gan"].network_.state_dict())

    def starts(self, images: Tensor) -> Tensor:
        """Return the latent vectors that searches for each image start from: (n, starts, d)."""
        if self.numbers.among is None:
            return self.bank.expand(len(images), -1, -1)
        bank = self.gan.generator(self.bank)
        distances = torch.cdist(images.flatten(1), bank.flatten(1))
        nearest = distances.topk(self.numbers.starts, largest=False).indices
        starts: Tensor = self.bank[nearest]
        return starts

    @abstractmethod
    def loss(self, images: Tensor) -> PointLosses:
        """Return the loss of latent vectors (n, d) by how their images differ from given ones."""

    def search(self, images: Tensor) -> Tensor:
        """Return the least loss of each search for each image: (n, starts)."""
        starts = self.starts(images)
        count = starts.shape[1]
        numbers = self.numbers
        _, least = adam_search(
            self.loss(images.repeat_interleave(count, dim=0)),
            starts.flatten(0, 1),
            numbers.steps,
            numbers.rate,
            numbers.betas,
        )
        losses: Tensor = least.unflatten(0, (-1, count))
        return losses


class AnoganNetwork(Searching):
    """The search of AnoGAN, by pixels and features."""

    def loss(self, images: Tensor) -> PointLosses:
        """Return (1 - lambda) |x - G(z)|_1 + lambda |f(x) - f(G(z))|_1 as a function of z."""
        features = self.gan.discriminator.features(images)

        def compare(vectors: Tensor) -> Tensor:
            made = self.gan.generator(vectors)
            residual = 2 * image_sum((made - images).abs())  # of images in [-1, 1]
            differences = self.gan.discriminator.features(made) - features
            loss: Tensor = (1 - FEATURES) * residual + FEATURES * differences.abs().sum(dim=1)
            return loss

        return compare

    def score(self, images: Tensor) -> Tensor:
        """Return the least loss of all searches for each image: (n,)."""
        return self.search(images).amin(dim=1)


class AdganNetwork(Searching):
    """The search of ADGAN, by pixels, in which the generator may be adapted to the image."""

    numbers: AdganSearch

    def loss(self, images: Tensor) -> PointLosses:
        """Return the mean squared error of G(z) as a function of z."""
        return lambda vectors: (self.gan.generator(vectors) - images).square().mean(dim=(1, 2, 3))

    def score(self, images: Tensor) -> Tensor:
        """Return the mean over the searches for each image of their least losses: (n,)."""
        if not self.numbers.weights_rate:
            return self.search(images).mean(dim=1)
        return torch.cat([self.adapt(chunk).mean(dim=1) for chunk in images.split(CHUNK)])

    def adapt(self, images: Tensor) -> Tensor:
        """Return the least loss of each search with a generator of its own: (n, starts)."""
        starts = self.starts(images)
        wanted = images.repeat_interleave(starts.shape[1], dim=0)
        found = vmap(self._adapted)(starts.flatten(0, 1), wanted)
        losses: Tensor = found.unflatten(0, starts.shape[:2])
        return losses

    def _adapted(self, start: Tensor, image: Tensor) -> Tensor:
        """Return the least loss while Adam moves a latent vector (d,) and the weights: a scalar."""
        generator, numbers = self.gan.generator, self.numbers
        buffers = dict(generator.named_buffers())
        point = {"": start, **{name: each.detach() for name, each in generator.named_parameters()}}

        def compare(point: dict[str, Tensor]) -> Tensor:
            weights = {name: value for name, value in point.items() if name}
            made = functional_call(generator, (weights, buffers), (point[""][None],))[0]
            loss: Tensor = (made - image).square().mean()
            return loss

        least: Tensor = compare(point)
        first, second = numbers.betas
        means = {name: torch.zeros_like(value) for name, value in point.items()}
        squares = dict(means)
        for step in range(1, numbers.steps + 1):
            for name, gradient in grad(compare)(point).items():
                means[name] = first * means[name] + (1 - first) * gradient
                squares[name] = second * squares[name] + (1 - second) * gradient.square()
                size = (squares[name] / (1 - second**step)).sqrt() + 1e-8
                rate = numbers.weights_rate if name else numbers.rate
                point = point | {name: point[name] - rate * means[name] / (1 - first**step) / size}
            least = torch.minimum(least, compare(point))
        return least
