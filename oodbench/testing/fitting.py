"""Fitting and restoring detectors on the toy problem, as the harness does on a real one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import safetensors.torch
import torch
from torch import Tensor

from oodbench.contracts import Batch, Detector, GeneratedDataset, Need, PluginError, Trainable
from oodbench.contracts.detector import require_images
from oodbench.testing.common import copy_of
from oodbench.testing.toy import TensorStream, ToyProblem

T = TypeVar("T", bound=Trainable)


@dataclass(frozen=True)
class Fitted(Generic[T]):
    """A detector, or a part of one, that was fitted on the toy problem.

    Attributes:
        trainable: the fitted object.
        returned: what its ``fit`` returned.
        train: the stream that it was fitted on.
        validation: the validation images that ``fit`` was given, if it asked for them.
        problem: the toy problem.
        device: the torch device that it was fitted on.
    """

    trainable: T
    returned: object
    train: TensorStream
    validation: TensorStream | None
    problem: ToyProblem
    device: str

    def batch(self, images: Tensor) -> Batch:
        """Return images (n, 1, 8, 8) as a batch to be scored, with exactly what is declared."""
        needs, reducing = self.trainable.needs, copy_of(self.trainable)
        return self.problem.unlabelled(images, needs, self.device, reducing)

    def restored(self) -> T:
        """Return a new object with what this one learned, as if restored from the store.

        As when the harness scores, there are neither parts nor validation images, and the
        classifier if ``fit`` needed it.

        Raises:
            PluginError: if the state holds anything but tensors, numbers and text.
        """
        needs = frozenset(self.trainable.needs).union(self.trainable.needs_to_fit())
        needs -= {Need.VALIDATION}
        context = self.problem.context(
            needs, device=self.device, trained_by=self.trainable.trained_by
        )
        return copy_of(self.trainable).restore(_stored(self.trainable.state()), context)


def fit(trainable: T, problem: ToyProblem, *, seed: int = 0, device: str = "cpu") -> Fitted[T]:
    """Fit a new object with the parameters of ``trainable``, after the parts that it asks for.

    Args:
        trainable: a detector, or a part; left as it is.
        problem: what to fit it on.
        seed: seed of the fit, and of parts that are detectors; others are fitted with seed 0.
        device: the torch device to fit on.
    """
    needs = trainable.needs_to_fit()
    parts = fit_parts(trainable, problem, seed=seed, device=device)
    new = copy_of(trainable)
    reducing = copy_of(trainable)
    train = problem.train(needs, device, reducing)
    held_out = None
    if Need.VALIDATION in needs:
        held_out = problem.validation(needs | trainable.needs, device, reducing)
    context = problem.context(
        needs,
        seed=seed,
        device=device,
        parts=parts,
        validation=held_out,
        trained_by=trainable.trained_by,
    )
    if trainable.auxiliary():
        context.auxiliary = problem.auxiliary(device)
    require_images(new, len(train))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        returned = new.fit(train, context)
    return Fitted(new, returned, train, held_out, problem, device)


def fit_parts(
    owner: Trainable | GeneratedDataset,
    problem: ToyProblem,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Trainable]:
    """Fit and restore the parts that a detector, a part or a generated data set asks for."""
    return {
        name: fit(
            part, problem, seed=seed if isinstance(part, Detector) else 0, device=device
        ).restored()
        for name, part in owner.parts().items()
    }


def _stored(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state written to and read from files: tensors as safetensors, the rest as JSON."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    others = {name: value for name, value in state.items() if name not in tensors}
    for name, value in others.items():
        if not isinstance(value, int | float | str):
            raise PluginError(f"state()['{name}'] is a {type(value).__name__}")
    saved = safetensors.torch.save(
        {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    )
    return {**safetensors.torch.load(saved), **json.loads(json.dumps(others))}
