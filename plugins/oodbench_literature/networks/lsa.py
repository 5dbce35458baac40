"""The networks of latent space autoregression: an autoencoder and a density of its code."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import Geometry, image_sum
from oodbench_literature.lsa import LsaRecipe
from oodbench_literature.training import Losses, Network, Training

LEVELS = (0.05, 0.95)
"""Quantiles of training images between which both terms of the score are brought to one scale."""


class MaskedLinear(nn.Linear):
    """A linear layer whose outputs for a code element depend on earlier elements alone.

    Vectors (n, d c) hold c channels of one of d elements after the other.

    Args:
        elements: d.
        before: channels of an element in the input.
        after: channels of an element in the output.
        strict: whether an output depends on earlier elements, and not on its own as well.
    """

    mask: Tensor

    def __init__(self, elements: int, before: int, after: int, *, strict: bool) -> None:
        super().__init__(elements * before, elements * after)
        allowed = torch.ones(elements, elements).tril(-1 if strict else 0)
        mask = allowed.repeat_interleave(after, dim=0).repeat_interleave(before, dim=1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, d before) to (n, d after)."""
        return functional.linear(x, self.weight * self.mask, self.bias)


class Estimator(nn.Module):
    """The density of a code in [0, 1], element by element: (n, d) to logits (n, d, bins).

    Args:
        elements: d.
        channels: of an element in the hidden layers.
        bins: of equal width, whose probabilities are estimated.
    """

    def __init__(self, elements: int, channels: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        widths = itertools.pairwise([1, channels, channels, channels, bins])
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(widths):
            layers += [
                MaskedLinear(elements, before, after, strict=number == 0),
                nn.LeakyReLU(),
            ]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, code: Tensor) -> Tensor:
        """Return the logits of the bins, float32."""
        logits: Tensor = self.layers(code).float().unflatten(1, (-1, self.bins))
        return logits

    def surprisal(self, code: Tensor) -> Tensor:
        """Return -log of the probability of the bins that a code lies in, summed: (n,)."""
        bins = (code.detach() * self.bins).long().clamp(0, self.bins - 1)
        return functional.cross_entropy(self(code).transpose(1, 2), bins, reduction="none").sum(
            dim=1
        )


class Down(nn.Module):
    """Residual block that halves the sides, rounding up: (n, before, h, w) to (n, after, ...).

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: 2, or 1 to keep the sides.
    """

    def __init__(self, before: int, after: int, stride: int = 2) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
        )
        self.end = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps."""
        maps: Tensor = self.end(self.change(x) + self.shortcut(x))
        return maps


class Up(nn.Module):
    """Residual block that doubles the sides: (n, before, h, w) to (n, after, 2 h, 2 w).

    Args:
        before: channels of the input.
        after: channels of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.ConvTranspose2d(before, after, 5, 2, padding=2, output_padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Sequential(
            nn.ConvTranspose2d(before, after, 1, 2, output_padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.end = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps."""
        maps: Tensor = self.end(self.change(x) + self.shortcut(x))
        return maps


class LsaNetwork(Network):
    """Encoder, decoder and estimator, with the scales of both terms of the score.

    Args:
        shape: (c, h, w) of the images.
        recipe: the numbers of the training.
    """

    scales: Tensor

    def __init__(self, shape: tuple[int, int, int], recipe: LsaRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.geometry = geometry = Geometry(shape, recipe)
        channels, widths = shape[0], geometry.channels[1:]
        first, last = (recipe.width // 2, widths[-1]) if recipe.stem else (channels, widths[-1])
        down = [Down(*pair) for pair in itertools.pairwise([first, *widths])]
        up = [Up(*pair) for pair in itertools.pairwise([*widths[::-1], recipe.width // 2])]
        stem: list[nn.Module] = []
        end: list[nn.Module] = [nn.Conv2d(recipe.width // 2, channels, 1, bias=False)]
        if recipe.stem:
            convolution = nn.Conv2d(channels, first, 3, padding=1, bias=False)
            stem = [convolution, nn.LeakyReLU(), Down(first, first, stride=1)]
            end = [Down(first, first, stride=1), *end]
        self.encoder = nn.Sequential(
            *stem,
            *down,
            nn.Flatten(),
            nn.Linear(geometry.features, recipe.hidden),
            nn.BatchNorm1d(recipe.hidden),
            nn.LeakyReLU(),
            nn.Linear(recipe.hidden, recipe.latent),
            nn.Sigmoid(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(recipe.latent, recipe.hidden),
            nn.BatchNorm1d(recipe.hidden),
            nn.LeakyReLU(),
            nn.Linear(recipe.hidden, geometry.features),
            nn.BatchNorm1d(geometry.features),
            nn.LeakyReLU(),
            nn.Unflatten(1, (last, *geometry.smallest)),
            *up,
            *end,
        )
        self.estimator = Estimator(recipe.latent, recipe.channels, recipe.bins)
        self.register_buffer("scales", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))

    def terms(self, images: Tensor) -> Tensor:
        """Return squared error and surprisal of each image: (2, n) float32."""
        padded = self.geometry.pad(images).contiguous(memory_format=torch.channels_last)
        code = self.encoder(padded).float()
        made = self.geometry.crop(self.decoder(code).float())
        error = image_sum((made - images).square())
        return torch.stack([error, self.estimator.surprisal(code)])

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train all of them together, then find the scales on the training images."""
        training = Training("lsa", self.recipe, steps, context)
        adam = training.adam("networks", self)

        def step(batch: Batch, _: float) -> Losses:
            error, surprisal = self.terms(batch.inputs).mean(dim=1)
            adam.step_on(error + self.recipe.surprisal_weight * surprisal)
            return {"error": error, "surprisal": surprisal}

        training.run(train, step)
        self.eval()
        with torch.no_grad():
            terms = torch.cat([self.terms(batch.inputs) for batch in train], dim=1)
            self.scales.copy_(terms.quantile(torch.tensor(LEVELS, device=terms.device), dim=1).T)

    def score(self, images: Tensor) -> Tensor:
        """Return the sum of both terms, each brought to its scale: (n,)."""
        lowest, highest = self.scales.unbind(dim=1)
        scaled = (self.terms(images) - lowest[:, None]) / (highest - lowest)[:, None]
        return scaled.sum(dim=0)
