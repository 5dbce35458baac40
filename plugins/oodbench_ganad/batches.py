"""Endless batches of training images, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from oodbench.contracts import Batch, Stream


class EndlessBatches:
    """Shuffled batches of images, epoch after epoch.

    Args:
        train: the images.
        size: images of a batch.
        generator: a CPU generator that draws their order.
    """

    def __init__(self, train: Stream, size: int, generator: torch.Generator) -> None:
        self._train = train
        self._size = size
        self._generator = generator
        self._begin()

    def _begin(self) -> None:
        self._before = self._generator.get_state()
        self._epoch = self._train.shuffled(self._size, self._generator)
        self._taken = 0

    def next(self) -> Batch:
        """Return the next batch."""
        batch = next(self._epoch, None)
        if batch is None:
            self._begin()
            batch = next(self._epoch)
        self._taken += 1
        return batch

    def state(self) -> dict[str, Tensor | int]:
        """Return what `restore` needs to resume from here."""
        return {"before": self._before, "taken": self._taken}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self._generator.set_state(state["before"])
        self._begin()
        for _ in range(state["taken"]):
            self.next()
