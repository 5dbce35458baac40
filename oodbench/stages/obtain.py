"""Obtain a classifier that is not trained in the common way: load its weights, or use its loss.

Writes ``model.safetensors``; notes down ``shape``, ``num_classes`` and, if it was trained, the
training accuracy of the last epoch. The common way is `oodbench.stages.train`, which is apart so
that nothing here makes a network stale that was trained there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.contracts import Batch, CustomClassifier, Need, PluginError, Stream
from oodbench.errors import UserError
from oodbench.pretrained import origin_of
from oodbench.stages import Work
from oodbench.stages.modules import autocast, save_module
from oodbench.stages.stream import training_stream
from oodbench.stages.train import REPORT_EVERY, _optimizer
from oodbench.store import Artifact

AUXILIARY = 1
"""Stream of random numbers that draws the auxiliary images; 0 draws the ID images."""


def run(spec: Mapping[str, Any], work: Work) -> None:
    """Obtain ``spec["classifier"]`` with ``spec["seed"]`` and ``spec["precision"]``.

    Shipped weights, ``spec["weights"]``, take the place of the training if they fit.
    """
    classifier: CustomClassifier = spec["classifier"]
    origin = origin_of(classifier, spec["seed"], work.inputs)
    work.draft.meta["origin"] = origin
    if spec["weights"] and spec["weights"].adopt(origin, work.draft):
        return
    meta = work.inputs["train"].meta
    shape, num_classes = tuple(meta["shape"]), meta["num_classes"]
    torch.manual_seed(spec["seed"])
    module = classifier.build(shape, num_classes)
    if not classifier.load(module, num_classes):
        module.to(work.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        work.draft.meta["train_accuracy"] = _train(module, classifier, spec, work)
    save_module(module, work.draft)
    work.draft.meta.update(shape=list(shape), num_classes=num_classes)


def _train(
    module: nn.Module, classifier: CustomClassifier, spec: Mapping[str, Any], work: Work
) -> float:
    """Train a module in place; return its accuracy on the ID images of the last epoch."""
    _check_labels(work.inputs["train"])
    train = _stream("train", work)
    recipe = classifier.recipe
    batch_size = min(recipe.batch_size, len(train))
    steps = len(train) // batch_size
    total = recipe.epochs * steps
    optimizer = _optimizer(module.named_parameters(), recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=max(total, 2), cycle_momentum=False
    )
    generator = torch.Generator().manual_seed(spec["seed"])
    outliers = _outliers(batch_size, spec["seed"], work)
    accuracy = 0.0
    module.train()
    for epoch in range(recipe.epochs):
        correct = torch.zeros((), device=work.device)
        for step, batch in enumerate(train.shuffled(batch_size, generator)):
            images, labels = _joined(batch, next(outliers))
            images = classifier.augment(images, generator)
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast(work.device, spec["precision"]):
                features = module.features(images)  # type: ignore[operator]
            logits = module.head(features.float())  # type: ignore[operator]
            done = epoch * steps + step
            loss = classifier.loss(logits, labels, done / total)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            correct += (logits.argmax(1) == labels).sum()
            if step % REPORT_EVERY == 0:
                work.progress(done, total, loss=float(loss.detach()))
        accuracy = float(correct) / (steps * batch_size)
        if not math.isfinite(float(loss.detach())):
            raise PluginError(f"training diverged in epoch {epoch + 1}: the loss is not finite")
        work.progress((epoch + 1) * steps, total, accuracy=accuracy)
    return accuracy


def _stream(role: str, work: Work) -> Stream:
    inputs = {"train": work.inputs[role]}
    return training_stream(inputs, frozenset({Need.INPUTS}), 500, work.device)


def _check_labels(train: Artifact) -> None:
    """Raise `UserError` unless the labels are classes of the ID set, two of them at least."""
    found = np.unique(np.load(train / "labels.npy")).tolist()
    num_classes = train.meta["num_classes"]
    if len(found) < 2 or found[0] < 0 or found[-1] >= num_classes:
        raise UserError(
            f"the ID training images have the labels {found[:12]}; a classifier needs at least two "
            f"of the classes 0 to {num_classes - 1}, and nothing else"
        )


def _outliers(batch_size: int, seed: int, work: Work) -> Iterator[Batch | None]:
    """Yield batches of auxiliary images without end; None, again and again, if there are none."""
    if "auxiliary" not in work.inputs:
        yield from itertools.repeat(None)
    stream = _stream("auxiliary", work)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + AUXILIARY)
    while True:
        yield from stream.shuffled(min(batch_size, len(stream)), generator)


def _joined(batch: Batch, outliers: Batch | None) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a batch, and after them auxiliary images, labelled -1."""
    if outliers is None:
        return batch.inputs, batch.labels
    unknown = torch.full_like(outliers.labels, -1)
    return torch.cat([batch.inputs, outliers.inputs]), torch.cat([batch.labels, unknown])
