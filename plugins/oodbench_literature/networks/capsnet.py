"""A capsule network with a decoder that draws an image of the winning capsule again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Batch, Context, Stream
from oodbench_literature.blocks import image_sum
from oodbench_literature.capsnet import CapsuleRecipe
from oodbench_literature.training import Losses, Training

DIMENSIONS = 8
"""Of a primary capsule."""

PRESENT, ABSENT = 0.9, 0.1
"""Lengths beyond which the capsules of the class, and of other classes, cost something."""

ABSENT_WEIGHT = 0.5

ERROR_WEIGHT = 0.0005
"""Of the summed squared error."""

DARKEST = 0.01
"""Smallest mean squared value of an image that its error is divided by."""


class CapsuleNetwork(nn.Module):
    """Capsules for k classes, and the decoder.

    Args:
        shape: (c, h, w) of the images.
        num_classes: k.
        recipe: the numbers of the networks and the training.
    """

    def __init__(
        self, shape: tuple[int, int, int], num_classes: int, recipe: CapsuleRecipe
    ) -> None:
        super().__init__()
        channels, height, width = shape
        kernel = recipe.kernel
        maps = [(side - 2 * (kernel - 1) - 1) // 2 + 1 for side in (height, width)]
        self.shape = shape
        self.num_classes = num_classes
        self.recipe = recipe
        self.first = nn.Conv2d(channels, recipe.width, kernel)
        self.primary = nn.Conv2d(recipe.width, recipe.types * DIMENSIONS, kernel, stride=2)
        capsules = recipe.types * math.prod(maps)
        # (capsules, k, latent, DIMENSIONS)
        self.transform = nn.Parameter(
            0.1 * torch.randn(capsules, num_classes, recipe.latent, DIMENSIONS)
        )
        self.decoder = nn.Sequential(
            nn.Linear(recipe.latent * num_classes, recipe.hidden),
            nn.ReLU(),
            nn.Linear(recipe.hidden, 2 * recipe.hidden),
            nn.ReLU(),
            nn.Linear(2 * recipe.hidden, math.prod(shape)),
            nn.Sigmoid(),
            nn.Unflatten(1, shape),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the capsules of the classes: (n, c, h, w) to (n, k, latent)."""
        maps = self.primary(functional.relu(self.first(images)))
        capsules = maps.unflatten(1, (-1, DIMENSIONS)).flatten(3).transpose(2, 3).flatten(1, 2)
        predictions = torch.einsum(
            "nid,ikld->nikl", squash(capsules.float()), self.transform
        ).float()
        return route(predictions, self.recipe.routing)[0]

    def draw(self, capsules: Tensor, classes: Tensor) -> Tensor:
        """Return images of the capsules of some classes: (n, k, latent), (n,) to (n, c, h, w)."""
        chosen = functional.one_hot(classes, self.num_classes).to(capsules.dtype)
        drawn: Tensor = self.decoder((capsules * chosen[:, :, None]).flatten(1)).float()
        return drawn

    def learn(self, train: Stream, steps: int, context: Context) -> None:
        """Train on ID images and their classes."""
        training = Training("a capsule network", self.recipe, steps, context)
        adam = training.adam("networks", self)

        def step(batch: Batch, _: float) -> Losses:
            capsules = self(batch.inputs)
            margin = margin_loss(capsules.norm(dim=2), batch.labels)
            drawn = self.draw(capsules, batch.labels)
            error = image_sum((drawn - batch.inputs).square()).mean()
            adam.step_on(margin + ERROR_WEIGHT * error)
            accuracy = (capsules.norm(dim=2).argmax(dim=1) == batch.labels).float().mean()
            return {"margin": margin, "error": error, "accuracy": accuracy}

        training.run(train, step)

    def absence(self, images: Tensor) -> Tensor:
        """Return 1 - the length of the longest capsule of each image: (n,)."""
        lengths = self(images).norm(dim=2)
        absence: Tensor = 1 - lengths.amax(dim=1)
        return absence

    def error(self, images: Tensor) -> Tensor:
        """Return |x - r|^2 / |x|^2 of each image, r being drawn of the longest capsule: (n,)."""
        capsules = self(images)
        drawn = self.draw(capsules, capsules.norm(dim=2).argmax(dim=1))
        least = DARKEST * math.prod(self.shape)
        return image_sum((drawn - images).square()) / image_sum(images.square()).clamp_min(least)


def squash(vectors: Tensor) -> Tensor:
    """Return vectors (..., d) of the same directions, with lengths l^2 / (1 + l^2) below 1."""
    squares = vectors.square().sum(dim=-1, keepdim=True)
    return vectors * (squares + torch.finfo(vectors.dtype).tiny).sqrt() / (1 + squares)


def route(predictions: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the capsules of the classes by dynamic routing, and the couplings.

    Args:
        predictions: (n, i, k, d), those of i capsules for k classes.
        iterations: how often couplings are found anew.

    Returns:
        Capsules (n, k, d), and couplings (n, i, k), which sum to 1 over the classes.
    """
    logits = predictions.new_zeros(predictions.shape[:3])
    for iteration in range(iterations):
        couplings = logits.softmax(dim=2)
        capsules = squash(torch.einsum("nik,nikd->nkd", couplings, predictions))
        if iteration + 1 < iterations:
            logits = logits + torch.einsum("nikd,nkd->nik", predictions, capsules)
    return capsules, couplings


def margin_loss(lengths: Tensor, classes: Tensor) -> Tensor:
    """Return the margin loss of lengths (n, k) of capsules, the mean over images: a scalar."""
    wanted = functional.one_hot(classes, lengths.shape[1]).to(lengths.dtype)
    present = (PRESENT - lengths).clamp_min(0).square()
    absent = (lengths - ABSENT).clamp_min(0).square()
    return (wanted * present + ABSENT_WEIGHT * (1 - wanted) * absent).sum(dim=1).mean()
