"""The training of AD, the network that tells fakes from near anomalies (section 4.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodbench.contracts import Context, PluginError, Stream
from oodbench_ganad import seeds
from oodbench_ganad.batches import EndlessBatches
from oodbench_ganad.optimization import REPORT_EVERY, FallingAdam, reduced_precision
from oodbench_ganad.recipes import Recipe
from oodbench_ganad.resuming import gather, scatter


class Examples:
    """AD's examples: normal images, as many anomalies, and their predicted classes.

    As in equation (11), which scores D(x, C(x)), AD is told the class that the classifier sees in
    an image, not the class that the image was made for.

    Args:
        generator: the fitted G, from seeds and classes to images.
        recipe: number of images, seed length.
        context: gives device, seed, precision, number of classes and classifier.
        real: ID training images to take as normal images, in place of fakes.
        outliers: images to take as half of the anomalies; the other half are near anomalies.
    """

    def __init__(
        self,
        generator: nn.Module,
        recipe: Recipe,
        context: Context,
        *,
        real: Stream | None = None,
        outliers: Stream | None = None,
    ) -> None:
        self.generator = generator
        self.context = context
        self.seed_length = recipe.architecture.seed_length
        self.draws = seeds.device_generator(context, stream=1)
        self.classes = balanced_classes(recipe.anomaly_batch, context)
        count = len(self.classes)
        self.real = _batches(real, count, context.generator(2))
        self.outliers = _batches(outliers, count // 2, context.generator(3))

    def draw(self) -> tuple[Tensor, Tensor]:
        """Make a batch, the first half of it normal.

        Returns:
            images (2 n, c, h, w) float32 in [0, 1], and classes (2 n,) int64.
        """
        with torch.no_grad(), reduced_precision(self.context):
            images = draw_images(self.generator, self.seed_length, self.classes, self.draws)
            count = len(self.classes)
            if self.real:
                real = self.real.next().inputs
                images[: len(real)] = real
            if self.outliers:
                outliers = self.outliers.next().inputs
                images[count + self._replaced(len(outliers))] = outliers
            return images, self.context.classifier(images).argmax(dim=1)

    def _replaced(self, number: int) -> Tensor:
        """Return the positions of the near anomalies that outliers replace: (number,) int64.

        Where every class occurs an even number of times, the first half of a batch has each class
        as often as the other half. Else, as with a hundred classes, they are drawn: the same
        classes would be replaced in each step.
        """
        count = len(self.classes)
        if (count // self.context.num_classes) % 2 == 0:
            return torch.arange(number, device=self.classes.device)
        drawn = torch.randperm(count, generator=self.draws, device=self.classes.device)
        return drawn[:number]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to resume from here."""
        return gather(self._parts())

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        scatter(state, self._parts())

    def _parts(self) -> dict[str, Any]:
        parts = {"draws": self.draws, "real": self.real, "outliers": self.outliers}
        return {name: part for name, part in parts.items() if part is not None}


class MixedExamples:
    """Examples mixed from a fixed number of batches, made and classified once to save time.

    An image keeps its place in a batch, so that normal images, anomalies, and the classes that they
    were made for stay as frequent as they are in each of the batches.

    Args:
        examples: makes the batches.
        count: number of batches; their images are kept as bytes.
    """

    def __init__(self, examples: Examples, count: int) -> None:
        batches = [examples.draw() for _ in range(count)]
        self.images = torch.stack([_as_bytes(images) for images, _ in batches])
        self.seen = torch.stack([seen for _, seen in batches])
        self.places = torch.arange(self.seen.shape[1], device=self.seen.device)
        self.draws = seeds.device_generator(examples.context, stream=4)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return a batch, as `Examples.draw` does, each image of it from any of the batches."""
        chosen = torch.randint(
            len(self.seen), self.places.shape, generator=self.draws, device=self.places.device
        )
        return self.images[chosen, self.places].float().div_(255), self.seen[chosen, self.places]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to resume from here."""
        return gather({"draws": self.draws})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state, with batches drawn anew from the same seed."""
        scatter(state, {"draws": self.draws})


def _as_bytes(images: Tensor) -> Tensor:
    return images.mul(255).round_().to(torch.uint8)


def _batches(
    stream: Stream | None, count: int, generator: torch.Generator
) -> EndlessBatches | None:
    """Return batches of ``count`` images, or of all if there are fewer."""
    if not stream:
        return None
    return EndlessBatches(stream, min(count, len(stream)), generator)


def train_anomaly_detector(
    network: nn.Module, examples: Examples, recipe: Recipe, steps: int, context: Context
) -> None:
    """Train a network to give normal images large values and anomalies small ones.

    The training resumes from the context's checkpoint if there is one.

    The loss is the binary cross-entropy (normal images are class 1).

    Args:
        network: AD, from images and classes to logits (n,); changed in place.
        examples: makes the images of each step, or of the recipe's number of batches if that is
            smaller than the number of steps.
        recipe: learning rates, number of batches.
        steps: number of steps.
        context: gives device, precision, progress and checkpoint.

    Raises:
        PluginError: if the loss is no longer finite.
    """
    optimizer = FallingAdam(
        network, steps, recipe.anomaly_learning_rate, recipe.anomaly_last_learning_rate
    )
    is_normal = torch.ones(2 * len(examples.classes), device=context.device)
    is_normal[len(examples.classes) :] = 0
    made = recipe.anomaly_batches
    source = examples if made is None or made >= steps else MixedExamples(examples, made)
    parts = {"network": network, "optimizer": optimizer, "examples": source}
    checkpoint = context.checkpoint
    saved = checkpoint.load()
    if saved is not None:
        scatter(saved, parts)
    for step in range(optimizer.done + 1, steps + 1):
        images, seen = source.draw()
        with reduced_precision(context):
            logits = network(images, seen).float()
            loss = F.binary_cross_entropy_with_logits(logits, is_normal)
        optimizer.step_on(loss)
        if step % REPORT_EVERY == 0 or step == steps:
            accuracy = ((logits > 0) == (is_normal > 0)).float().mean()
            _report(step, steps, loss, accuracy, context)
            if checkpoint.is_due():
                checkpoint.save(gather(parts))


def balanced_classes(count: int, context: Context) -> Tensor:
    """Return every class equally often, about ``count`` in all: (n,) int64.

    With ten classes and a count of 100 these are ten images of each class, as in the paper.
    """
    each = max(1, round(count / context.num_classes))
    return torch.arange(context.num_classes, device=context.device).repeat(each)


def draw_images(
    generator: nn.Module, seed_length: int, classes: Tensor, draws: torch.Generator
) -> Tensor:
    """Make a fake of each class given, then a near anomaly of each.

    Args:
        generator: G, from seeds (n, N) and classes (n,) to images (n, c, h, w).
        seed_length: N.
        classes: (n,) int64.
        draws: draws the seeds, on the device of ``classes``.

    Returns:
        (2 n, c, h, w) float32 in [0, 1].
    """
    count = len(classes)
    fakes = seeds.draw_fakes(count, seed_length, draws)
    anomalies = seeds.draw_norms(count, seed_length, seeds.NEAR_ANOMALY_NORMS, draws)
    images: Tensor = generator(torch.cat([fakes, anomalies]), classes.repeat(2))
    return images


def _report(done: int, total: int, loss: Tensor, accuracy: Tensor, context: Context) -> None:
    value = loss.item()
    if not math.isfinite(value):
        raise PluginError(
            f"GANAD's anomaly detector diverged by step {done} of {total}: its loss is not finite; "
            "try another recipe or float32"
        )
    context.progress(done, total, anomaly_loss=value, anomaly_accuracy=accuracy.item())
