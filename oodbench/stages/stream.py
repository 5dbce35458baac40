"""Streams of images, and of a classifier's outputs for them, from memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from oodbench.contracts import Batch, Need, Stream
from oodbench.stages.selection import positions_of
from oodbench.store.artifacts import Artifact

if TYPE_CHECKING:
    from oodbench.plan.specs import Part


class Rows:
    """Rows of arrays on the disk, read when they are asked for.

    Of ImageNet's training images, features of ResNet-50 are 10 GB.

    Args:
        arrays: each (m, d).
        order: (n,) int64, the place of each row among those of all arrays, one after the other.
    """

    def __init__(self, arrays: Sequence[np.ndarray], order: np.ndarray) -> None:
        self._arrays = arrays
        self._order = order

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Return some rows, as a new tensor."""
        places = self._order[chosen if isinstance(chosen, slice) else chosen.numpy()]
        found = np.empty((len(places), self._arrays[0].shape[1]), self._arrays[0].dtype)
        start = 0
        for array in self._arrays:
            within = (places >= start) & (places < start + len(array))
            found[within] = array[places[within] - start]
            start += len(array)
        return torch.from_numpy(found)


class ArrayStream(Stream):
    """Images as uint8, and the classifier's outputs for them.

    All is kept on a GPU; where batches are made on the CPU, images are kept in memory, the rest on
    the disk.

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
        images: np.ndarray,
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
        self._images = torch.tensor(images, device=device) if Need.INPUTS in needs else None
        self._logits = _kept(logits, Need.LOGITS in needs, device)
        self._features = _kept(features, Need.FEATURES in needs, device)
        self._reduced = _kept(reduced, Need.LAYERS in needs, device)

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
        inputs = None if self._images is None else self._images[chosen].float().div_(255)
        logits = None if self._logits is None else self._logits[chosen].clone()
        features = None if self._features is None else self._features[chosen].clone()
        reduced = None if self._reduced is None else self._reduced[chosen].clone()
        labels = self._labels[chosen].clone()
        return Batch(labels, inputs=inputs, logits=logits, features=features, reduced=reduced)


def _kept(values: Rows | None, needed: bool, device: str) -> Rows | Tensor | None:
    if values is None or not needed:
        return None
    return values if device == "cpu" else values[:].to(device)


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
    images, labels = _mapped(train, "images"), _tensor(train, "labels")
    chosen: slice | np.ndarray = slice(None)
    if "reduced:fit" in inputs:
        chosen = np.load(inputs["reduced:fit"] / "positions.npy")
        images, labels = images[chosen] if Need.INPUTS in needs else images, labels[chosen]
    roles = ["reduced:fit"] if "reduced:fit" in inputs else [f"reduced:{part}" for part in PARTS]
    return ArrayStream(
        images,
        labels,
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
        _mapped(held_out, "images"),
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
    return Rows([_mapped(part, name) for part in parts], np.argsort(positions)[chosen])


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
    images = _mapped(inputs["images"], "images")
    positions = positions_of(spec["part"], len(images), spec["count"], spec["selection_seed"])
    return ArrayStream(
        images[positions] if Need.INPUTS in needs else images,
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
    array = _mapped(artifact, name)
    return Rows([array], np.arange(len(array)))


def _mapped(artifact: Artifact, name: str) -> np.ndarray:
    """Return an array whose values are read from the disk when they are asked for."""
    found: np.ndarray = np.load(artifact / f"{name}.npy", mmap_mode="r")
    return found


def _tensor(artifact: Artifact, name: str) -> Tensor:
    return torch.from_numpy(np.load(artifact / f"{name}.npy"))
