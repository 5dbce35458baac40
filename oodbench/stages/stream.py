"""Streams of images, and of a classifier's outputs for them, from memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from oodbench.contracts import Batch, Need, Stream
from oodbench.images.npy import ArrayFile, slices, take_rows
from oodbench.stages.selection import positions_of
from oodbench.store.artifacts import Artifact

if TYPE_CHECKING:
    from oodbench.plan.specs import Part


KEPT_BYTES = {"cpu": 2**28, "cuda": 2**32}
"""Bytes of an array that a stream keeps at most, by where batches are made: more than the training
images of CIFAR-10 take, and on a GPU those of Tiny ImageNet."""


class Rows:
    """Rows of arrays on the disk, read when they are asked for.

    Of ImageNet's training images, features of ResNet-50 are 10 GB.

    Args:
        arrays: each (m, ...), the same but for m.
        order: (n,) int64, the place of each row among those of all arrays, one after the other; by
            default all rows in order.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray | ArrayFile], order: np.ndarray | None = None
    ) -> None:
        self._arrays = arrays
        self._order = np.arange(sum(map(len, arrays))) if order is None else order

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of all rows together."""
        return (len(self._order), *self._arrays[0].shape[1:])

    @property
    def bytes(self) -> int:
        """Return the bytes of all rows together."""
        return math.prod(self.shape) * self._arrays[0].dtype.itemsize

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Return some rows, as a new tensor on the CPU."""
        places = self._order[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()]
        if len(self._arrays) == 1:
            return torch.from_numpy(take_rows(self._arrays[0], places))
        found = np.empty((len(places), *self.shape[1:]), self._arrays[0].dtype)
        start = 0
        for array in self._arrays:
            within = (places >= start) & (places < start + len(array))
            found[within] = take_rows(array, places[within] - start)
            start += len(array)
        return torch.from_numpy(found)

    def load(self, device: str) -> Tensor:
        """Return all rows on a device."""
        found = torch.empty(self.shape, dtype=self[:0].dtype, device=device)
        for part in slices(len(found), self.bytes // max(len(found), 1)):
            found[part] = self[part]
        return found


class ArrayStream(Stream):
    """Images as uint8, and the classifier's outputs for them.

    What takes `KEPT_BYTES` at most is kept where batches are made, on a GPU images and outputs, on
    the CPU images alone; the rest is read from the disk for each batch.

    Args:
        images: (n, c, h, w) uint8; only their shape is read where they are not needed.
        labels: (n,) int64.
        needs: the fields that batches hold.
        num_classes: number of classes of the ID data set.
        logits: (n, k) float32, where needed.
        features: (n, d) float32, where needed.
        reduced: (n, r), where needed.
        batch_size: images of a batch in order.
        device: where batches are made.
    """

    def __init__(
        self,
        images: Rows,
        labels: Tensor,
        needs: frozenset[Need],
        num_classes: int,
        *,
        logits: Rows | None = None,
        features: Rows | None = None,
        reduced: Rows | None = None,
        batch_size: int = 500,
        device: str = "cpu",
    ) -> None:
        self.shape = (images.shape[1], images.shape[2], images.shape[3])
        self.num_classes = num_classes
        self._batch_size = batch_size
        self._labels = labels.to(device)
        self._device = device
        self._images = self._kept(images, Need.INPUTS in needs, KEPT_BYTES[device])
        outputs_bytes = 0 if device == "cpu" else KEPT_BYTES[device]
        self._logits = self._kept(logits, Need.LOGITS in needs, outputs_bytes)
        self._features = self._kept(features, Need.FEATURES in needs, outputs_bytes)
        self._reduced = self._kept(reduced, Need.LAYERS in needs, outputs_bytes)

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[Batch]:
        yield from self.in_batches((self._batch_size,))

    def in_batches(self, sizes: Sequence[int]) -> Iterator[Batch]:
        """Yield every image once, in order, in batches of some sizes, which are repeated."""
        start = 0
        for size in itertools.cycle(sizes):
            if start >= len(self):
                return
            yield self._batch(slice(start, start + size))
            start += size

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield one epoch of full batches in random order."""
        if batch_size > len(self):
            raise ValueError(f"there are {len(self)} images, fewer than a batch of {batch_size}")
        order = torch.randperm(len(self), generator=generator).to(self._labels.device)
        for start in range(0, len(self) - batch_size + 1, batch_size):
            yield self._batch(order[start : start + batch_size])

    def _batch(self, chosen: slice | Tensor) -> Batch:
        images = self._rows(self._images, chosen)
        return Batch(
            self._labels[chosen].clone(),
            inputs=None if images is None else images.float().div_(255),
            logits=self._rows(self._logits, chosen),
            features=self._rows(self._features, chosen),
            reduced=self._rows(self._reduced, chosen),
        )

    def _kept(self, values: Rows | None, needed: bool, at_most: int) -> Rows | Tensor | None:
        if values is None or not needed:
            return None
        return values if values.bytes > at_most else values.load(self._device)

    def _rows(self, values: Rows | Tensor | None, chosen: slice | Tensor) -> Tensor | None:
        """Return some rows as a new tensor."""
        if values is None:
            return None
        if isinstance(values, Rows):
            return values[chosen].to(self._device)
        return values[chosen].clone() if isinstance(chosen, slice) else values[chosen]


def training_stream(
    inputs: Mapping[str, Artifact], needs: frozenset[Need], batch_size: int, device: str
) -> ArrayStream:
    """Return all ID training images, or those that a fit asks for.

    Args:
        inputs: the artifacts "train", and where logits or features are needed "calibration" and
            "rest", which hold those of complementary parts; where layers are needed,
            "reduced:calibration" and "reduced:rest", or "reduced:fit" of fewer images.
        needs: what batches hold.
        batch_size: images of a batch in order.
        device: where batches are made.
    """
    train = inputs["train"]
    labels = _tensor(train, "labels")
    chosen: slice | np.ndarray = slice(None)
    if "reduced:fit" in inputs:
        chosen = np.load(inputs["reduced:fit"] / "positions.npy")
    roles = ["reduced:fit"] if "reduced:fit" in inputs else [f"reduced:{part}" for part in PARTS]
    return ArrayStream(
        Rows([_opened(train, "images")], np.arange(len(labels))[chosen]),
        labels[chosen],
        needs,
        train.meta["num_classes"],
        logits=_joined(inputs, PARTS, "logits", chosen) if Need.LOGITS in needs else None,
        features=_joined(inputs, PARTS, "features", chosen) if Need.FEATURES in needs else None,
        reduced=_joined(inputs, roles, "reduced") if Need.LAYERS in needs else None,
        batch_size=batch_size,
        device=device,
    )


def validation_stream(
    inputs: Mapping[str, Artifact], needs: frozenset[Need], batch_size: int, device: str
) -> ArrayStream:
    """Return the validation images.

    Args:
        inputs: the artifact "validation", where logits or features are needed "extract", and where
            layers are needed "reduced:validation".
        needs: what batches hold.
        batch_size: images of a batch in order.
        device: where batches are made.
    """
    held_out = inputs["validation"]
    return ArrayStream(
        _rows(held_out, "images"),
        _tensor(held_out, "labels"),
        needs,
        held_out.meta["num_classes"],
        logits=_rows(inputs["extract"], "logits") if Need.LOGITS in needs else None,
        features=_rows(inputs["extract"], "features") if Need.FEATURES in needs else None,
        reduced=_rows(inputs["reduced:validation"], "reduced") if Need.LAYERS in needs else None,
        batch_size=batch_size,
        device=device,
    )


PARTS = ("calibration", "rest")
"""The two parts of the training images, each of which passes through the classifier."""


def _joined(
    inputs: Mapping[str, Artifact],
    roles: Sequence[str],
    name: str,
    chosen: slice | np.ndarray = slice(None),
) -> Rows:
    """Return rows of parts of the training images in the order of the data set.

    Args:
        inputs: the artifacts.
        roles: of the parts.
        name: of the array.
        chosen: which rows, in that order.
    """
    parts = [inputs[role] for role in roles if inputs[role].meta["count"]]
    positions = np.concatenate([np.load(part / "positions.npy") for part in parts])
    return Rows([_opened(part, name) for part in parts], np.argsort(positions)[chosen])


def scoring_stream(
    spec: Part,
    inputs: Mapping[str, Artifact],
    needs: frozenset[Need],
    device: str,
) -> ArrayStream:
    """Return the images to score, without their labels.

    Args:
        spec: of the score job.
        inputs: the artifact "images", where logits or features are needed "extract", and where
            layers are needed "reduced".
        needs: what batches hold.
        device: where batches are made.
    """
    images = _opened(inputs["images"], "images")
    positions = positions_of(spec["part"], len(images), spec["count"], spec["selection_seed"])
    return ArrayStream(
        Rows([images], positions),
        torch.full((len(positions),), -1),
        needs,
        inputs["images"].meta["num_classes"],
        logits=_rows(inputs["extract"], "logits") if Need.LOGITS in needs else None,
        features=_rows(inputs["extract"], "features") if Need.FEATURES in needs else None,
        reduced=_rows(inputs["reduced"], "reduced") if Need.LAYERS in needs else None,
        batch_size=spec["batch_size"],
        device=device,
    )


def _rows(artifact: Artifact, name: str) -> Rows:
    return Rows([_opened(artifact, name)])


def _opened(artifact: Artifact, name: str) -> ArrayFile:
    """Return an array whose values are read from the disk when they are asked for."""
    return ArrayFile.open(artifact / f"{name}.npy")


def _tensor(artifact: Artifact, name: str) -> Tensor:
    return torch.from_numpy(np.load(artifact / f"{name}.npy"))
