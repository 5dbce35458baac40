"""The pass of images through a classifier, in which several jobs keep something of each image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from oodbench.contracts import Need, PluginError, Trainable
from oodbench.images.npy import ArrayFile
from oodbench.stages import Work
from oodbench.stages.finite import images_not_finite
from oodbench.stages.modules import load_classifier
from oodbench.stages.network import Network, Passed
from oodbench.stages.selection import balanced, positions_of
from oodbench.stages.stream import Rows
from oodbench.store.artifacts import Artifact, Draft

if TYPE_CHECKING:
    from oodbench.plan.specs import ExtractSpec, ReduceSpec

GRADIENT_IMAGES = {"cpu": 32, "cuda": 100}
"""Images at most that pass at a time where gradients are taken: all that was computed is held.

A CPU is no faster with more.
"""


class Keeper(ABC):
    """What one job keeps of a pass.

    Args:
        draft: the artifact that it writes.
        names: of the arrays.

    Attributes:
        reads_layers: whether it reads the outputs of layers.
        wants_gradients: whether it reads gradients in them.
    """

    reads_layers = False
    wants_gradients = False

    def __init__(self, draft: Draft, *names: str) -> None:
        self.draft = draft
        self._names = names
        self._files: dict[str, ArrayFile] = {}

    @abstractmethod
    def read(self, passed: Passed) -> Sequence[Tensor]:
        """Return the rows (n, r) of each array for a batch."""

    def keep(self, start: int, count: int, passed: Passed) -> None:
        """Write the rows of the images from position ``start`` on, of ``count`` in all."""
        for name, rows in zip(self._names, self.read(passed), strict=True):
            values = rows.cpu().numpy()
            if name not in self._files:
                path, shape = self.draft / f"{name}.npy", (count, values.shape[1])
                self._files[name] = ArrayFile.create(path, values.dtype, shape)
            self._files[name].write(start, values)

    def close(self) -> None:
        """Complete the files; of no images, rows are empty."""
        for name in self._names:
            if name not in self._files:
                np.save(self.draft / f"{name}.npy", np.empty((0, 0), np.float32))


class Outputs(Keeper):
    """Keeps features and logits, and counts the images of which they are not finite."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft, "features", "logits")
        self.bad: Tensor | int = 0

    def read(self, passed: Passed) -> Sequence[Tensor]:
        """Return features (n, d) and logits (n, k)."""
        found = passed.features.detach(), passed.logits.detach()
        self.bad = self.bad + images_not_finite(*found)
        return found


class Reduced(Keeper):
    """Keeps what a detector makes of the outputs of layers.

    Args:
        draft: as of `Keeper`.
        trainable: the detector, not fitted.
    """

    reads_layers = True

    def __init__(self, draft: Draft, trainable: Trainable) -> None:
        super().__init__(draft, "reduced")
        self._trainable = trainable
        self.wants_gradients = wants_gradients(trainable)

    def read(self, passed: Passed) -> Sequence[Tensor]:
        """Return the figures (n, r)."""
        return [reduced(self._trainable, passed)]


def wants_gradients(trainable: Trainable) -> bool:
    """Return whether a detector asks for gradients in the outputs of layers."""
    return Need.LAYER_GRADIENTS in {*trainable.needs, *trainable.needs_to_fit()}


def reduced(trainable: Trainable, passed: Passed) -> Tensor:
    """Return what a detector makes of the outputs of layers: (n, r).

    Raises:
        PluginError: if that is not a row of finite numbers for each image.
    """
    count = len(passed.logits)
    with torch.no_grad():
        found = trainable.reduce(passed.layers(trainable if wants_gradients(trainable) else None))
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != count:
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise PluginError(f"reduce() returned {what} for {count} images, not ({count}, r)")
    bad = int((~torch.isfinite(found)).any(dim=1).sum())
    if bad:
        raise PluginError(f"reduce() returned NaN or infinity for {bad} of {count} images")
    return found


def pass_images(
    spec: ExtractSpec | ReduceSpec, work: Work, own: Keeper, at_most: int | None = None
) -> None:
    """Pass the part ``spec["part"]`` of the images through ``spec["classifier"]``.

    Writes ``positions.npy`` and notes down ``count``, ``forwarded`` and, where layers are read,
    the shapes of ``layers`` by name and whether they were found ``by_rule``; for companions too,
    which take note of their errors.

    Args:
        spec: of the job.
        work: of the job.
        own: keeps what the job is for.
        at_most: images that are drawn from the part, balanced over the classes; None for all.
    """
    prepared = work.inputs["images"]
    positions = _positions(spec, prepared, at_most)
    images = Rows([ArrayFile.open(prepared / "images.npy")], positions)
    riders = {each: Reduced(each.draft, each.spec["trainable"]) for each in work.companions}
    network = _open(spec, work, tuple(prepared.meta["shape"]), own)
    gradients = any(each.wants_gradients for each in (own, *riders.values()))
    step = spec["batch_size"]
    if gradients:
        step = min(step, GRADIENT_IMAGES[work.device])
    with torch.no_grad() if gradients else torch.inference_mode():
        for start in range(0, len(positions), step):
            batch = images[start : start + step].to(work.device).float().div_(255)
            batch = batch.contiguous(memory_format=torch.channels_last)
            passed = network(batch, gradients=gradients)
            own.keep(start, len(positions), passed)
            for companion, keeper in riders.items():
                companion.attempt(partial(keeper.keep, start, len(positions), passed))
            work.progress(start + len(batch), len(positions))
    own.close()
    own.draft.meta.update(count=len(positions), forwarded=network.forwarded)
    for companion, keeper in riders.items():
        companion.attempt(keeper.close)
        keeper.draft.meta.update(count=len(positions), forwarded=0)
    for each in (own, *riders.values()):
        np.save(each.draft / "positions.npy", positions)
        if each.reads_layers:
            each.draft.meta.update(layers=network.shapes, by_rule=network.by_rule)


def _positions(
    spec: ExtractSpec | ReduceSpec, prepared: Artifact, at_most: int | None
) -> np.ndarray:
    """Return the positions of the prepared images that pass: (n,) int64, ascending."""
    labels = np.load(prepared / "labels.npy")
    positions = positions_of(spec["part"], len(labels), spec["count"], spec["selection_seed"])
    if at_most is None:
        return positions
    chosen: np.ndarray = positions[balanced(labels[positions], at_most, spec["selection_seed"])]
    return chosen


def _open(
    spec: ExtractSpec | ReduceSpec, work: Work, shape: tuple[int, int, int], own: Keeper
) -> Network:
    """Return the classifier, with its layers if they are read.

    Raises:
        PluginError: if the job itself reads layers and there are none.
    """
    classifier = spec["classifier"]
    module = load_classifier(classifier, work.inputs["classifier"], work.device)
    network = Network(module, work.device, spec["precision"])
    if own.reads_layers:
        network.look_inside(classifier.layers(module), shape)
    elif work.companions:
        first = work.companions[0]
        first.attempt(lambda: network.look_inside(classifier.layers(module), shape))
        for companion in work.companions:
            companion.error, companion.draft.keep = first.error, first.draft.keep
    return network
