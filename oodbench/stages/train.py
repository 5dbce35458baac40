"""Train a classifier by its recipe: SGD, one cycle of the learning rate, images kept as uint8.

Writes ``model.safetensors``; notes down ``shape``, ``num_classes`` and the training accuracy of the
last epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import Classifier, PluginError, Recipe
from oodbench.errors import UserError
from oodbench.pretrained import origin_of
from oodbench.stages import Work
from oodbench.stages.modules import autocast, save_module

REPORT_EVERY = 20
"""Steps between two reports of the loss; reading it makes a GPU wait."""


def run(spec: Mapping[str, Any], work: Work) -> None:
    """Train ``spec["classifier"]`` with ``spec["seed"]`` and ``spec["precision"]``.

    Shipped weights, ``spec["weights"]``, take the place of the training if they fit.
    """
    classifier: Classifier = spec["classifier"]
    origin = origin_of(classifier, spec["seed"], work.inputs)
    work.draft.meta["origin"] = origin
    if spec["weights"] and spec["weights"].adopt(origin, work.draft):
        return
    images = torch.from_numpy(np.load(work.inputs["train"] / "images.npy")).to(work.device)
    labels = torch.from_numpy(np.load(work.inputs["train"] / "labels.npy")).to(work.device)
    num_classes = work.inputs["train"].meta["num_classes"]
    found = torch.unique(labels).tolist()
    if len(found) < 2 or found[0] < 0 or found[-1] >= num_classes:
        raise UserError(
            f"the ID training images have the labels {found[:12]}; a classifier needs at least two "
            f"of the classes 0 to {num_classes - 1}, and nothing else"
        )
    shape = tuple(images.shape[1:])
    torch.manual_seed(spec["seed"])
    module = classifier.build(shape, num_classes)  # type: ignore[arg-type]
    module.to(work.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    accuracy = _train(module, classifier, images, labels, spec, work)
    save_module(module, work.draft)
    work.draft.meta.update(shape=list(shape), num_classes=num_classes, train_accuracy=accuracy)


def _train(
    module: nn.Module,
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    spec: Mapping[str, Any],
    work: Work,
) -> float:
    """Train a module in place; return its accuracy on the training batches of the last epoch."""
    recipe = classifier.recipe
    batch_size = min(recipe.batch_size, len(images))
    steps = len(images) // batch_size
    total = recipe.epochs * steps
    optimizer = _optimizer(module.named_parameters(), recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=max(total, 2), cycle_momentum=False
    )
    generator = torch.Generator().manual_seed(spec["seed"])
    accuracy = 0.0
    module.train()
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator).to(images.device)
        correct = torch.zeros((), device=images.device)
        for step in range(steps):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            batch = classifier.augment(images[chosen].float().div_(255), generator)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with autocast(work.device, spec["precision"]):
                features = module.features(batch)  # type: ignore[operator]
            logits = module.head(features.float())  # type: ignore[operator]
            loss = functional.cross_entropy(
                logits, labels[chosen], label_smoothing=recipe.label_smoothing
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            correct += (logits.argmax(1) == labels[chosen]).sum()
            if step % REPORT_EVERY == 0:
                work.progress(epoch * steps + step, total, loss=float(loss.detach()))
        accuracy = float(correct) / (steps * batch_size)
        if not math.isfinite(float(loss.detach())):
            raise PluginError(f"training diverged in epoch {epoch + 1}: the loss is not finite")
        work.progress((epoch + 1) * steps, total, accuracy=accuracy)
    return accuracy


def _optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]], recipe: Recipe
) -> torch.optim.Optimizer:
    """Return SGD with weight decay on matrices and convolutions, none on biases and scales."""
    parameters = [parameter for _, parameter in named_parameters]
    groups = [
        {
            "params": [parameter for parameter in parameters if parameter.ndim > 1],
            "weight_decay": recipe.weight_decay,
        },
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0
    )
