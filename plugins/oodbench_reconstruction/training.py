"""The training of networks that reconstruct images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from oodbench.contracts import Context, PluginError, Stream
from oodbench_reconstruction.networks import Reconstructing

BATCH_SIZE = 128
LEARNING_RATE = 2e-3
"""The peak of the one cycle of the learning rate."""

REPORT_EVERY = 50
"""Steps between two reports of the loss."""


def train_network(network: Reconstructing, train: Stream, steps: int, context: Context) -> None:
    """Train a network by Adam with one cycle of the learning rate; it ends in evaluation mode.

    Args:
        network: on the context's device.
        train: ID training images.
        steps: how many batches to learn from.
        context: draws the batches, and is told of the loss.

    Raises:
        PluginError: if the loss is no longer finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    network.train()
    for step, images in enumerate(_batches(train, steps, context.generator()), start=1):
        optimizer.zero_grad()
        loss = network.loss(images)
        loss.backward()
        optimizer.step()
        cycle.step()
        if step % REPORT_EVERY == 0 or step == steps:
            value = loss.item()
            if not math.isfinite(value):
                raise PluginError(f"the training diverged by step {step} of {steps}")
            context.progress(step, steps, loss=value)
    network.eval().requires_grad_(False)


def _batches(train: Stream, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of images, one epoch after the other."""
    size = min(BATCH_SIZE, len(train))
    while True:
        for batch in train.shuffled(size, generator):
            if count == 0:
                return
            count -= 1
            yield batch.inputs
