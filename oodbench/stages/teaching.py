"""The training of a network by a recipe: one learning-rate cycle, images kept as uint8.

A training that was killed goes on after the last epoch that it kept, to the same weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from oodbench.contracts import (
    Batch,
    Classifier,
    CustomClassifier,
    PluginError,
    Stream,
    TrainingStep,
)
from oodbench.stages import Work
from oodbench.stages.checkpoint import FileCheckpoint
from oodbench.stages.modules import autocast

if TYPE_CHECKING:
    from oodbench.plan.specs import TrainSpec

REPORT_EVERY = 20
"""Steps between two reports of the loss; reading it makes a GPU wait."""

AUXILIARY = 1
"""Stream of random numbers that draws the auxiliary images; 0 draws the ID images."""


def teach(
    module: nn.Module,
    classifier: Classifier,
    train: Stream,
    auxiliary: Stream | None,
    spec: TrainSpec,
    work: Work,
) -> float:
    """Train a module in place; return its accuracy on the ID images of the last epoch.

    Args:
        module: as `Classifier.build` returns it, on the device of the job.
        classifier: gives recipe, optimizer, augmentation and loss.
        train: the ID training images.
        auxiliary: images to learn from besides; as many as ID images are in each batch.
        spec: of the job; seed and precision are read.
        work: takes progress and checkpoints.

    Raises:
        PluginError: if the loss is no longer finite.
    """
    recipe, objective = classifier.recipe, _objective(classifier)
    batch_size = min(recipe.batch_size, len(train))
    steps = len(train) // batch_size
    total = recipe.epochs * steps
    optimizer = classifier.optimizer(module)
    schedule = OneCycleLR(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=max(total, 2),
        pct_start=recipe.warmup,
        cycle_momentum=False,
    )
    draws = torch.Generator().manual_seed(spec["seed"])
    checkpoint = FileCheckpoint(work.checkpoint, work.note)
    done, accuracy = _resume(checkpoint.load(), module, optimizer, schedule, draws)
    features = partial(_features, module, work.device, spec["precision"])
    module.train()
    for epoch in range(done, recipe.epochs):
        outliers = _outliers(auxiliary, batch_size, spec["seed"], epoch)
        correct = torch.zeros((), device=work.device)
        for step, batch in enumerate(train.shuffled(batch_size, draws)):
            others = next(outliers)
            loss, logits = objective(
                TrainingStep(
                    module=module,
                    images=batch.inputs,
                    labels=batch.labels,
                    auxiliary=None if others is None else others.inputs,
                    done=(epoch * steps + step) / total,
                    generator=draws,
                    features=features,
                )
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += (logits[: len(batch)].argmax(1) == batch.labels).sum()
            if step % REPORT_EVERY == 0:
                work.progress(epoch * steps + step, total, loss=float(loss.detach()))
        accuracy = float(correct) / (steps * batch_size)
        if not math.isfinite(float(loss.detach())):
            raise PluginError(f"training diverged in epoch {epoch + 1}: the loss is not finite")
        if checkpoint.is_due():
            checkpoint.save(_state(epoch + 1, accuracy, module, optimizer, schedule, draws))
        work.progress((epoch + 1) * steps, total, accuracy=accuracy)
    return accuracy


def _features(module: nn.Module, device: str, precision: str, images: Tensor) -> Tensor:
    """Return the features of images, computed in a precision: (n, d) float32."""
    with autocast(device, precision):
        features: Tensor = module.features(images.contiguous(memory_format=torch.channels_last))  # type: ignore[operator]
    return features.float()


def _objective(classifier: Classifier) -> Callable[[TrainingStep], tuple[Tensor, Tensor]]:
    """Return what maps a step to its loss and logits."""
    if isinstance(classifier, CustomClassifier):
        return classifier.objective
    smoothing = classifier.recipe.label_smoothing

    def objective(step: TrainingStep) -> tuple[Tensor, Tensor]:
        images = classifier.augment(step.images, step.generator)
        logits = step.module.head(step.features(images))  # type: ignore[operator]
        return functional.cross_entropy(logits, step.labels, label_smoothing=smoothing), logits

    return objective


def _outliers(
    auxiliary: Stream | None, batch_size: int, seed: int, epoch: int
) -> Iterator[Batch | None]:
    """Yield batches of auxiliary images without end; None, again and again, if there are none."""
    if auxiliary is None:
        yield from itertools.repeat(None)
    else:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + AUXILIARY + (epoch << 40))
        while True:
            yield from auxiliary.shuffled(min(batch_size, len(auxiliary)), generator)


def _state(
    epochs: int,
    accuracy: float,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: OneCycleLR,
    draws: torch.Generator,
) -> dict[str, Any]:
    """Return what `_resume` needs to continue after some epochs."""
    return {
        "epochs": epochs,
        "accuracy": accuracy,
        "schedule": schedule.state_dict(),
        "draws": draws.get_state(),
        "global": torch.get_rng_state(),
        **({"cuda": torch.cuda.get_rng_state()} if _on_gpu(module) else {}),
        **{f"module/{name}": value for name, value in module.state_dict().items()},
        **{
            f"optimizer/{key}/{name}": value
            for name, weight in module.named_parameters()
            for key, value in optimizer.state[weight].items()
        },
    }


def _placed_like(weight: Tensor, value: Any) -> Any:
    """Return what an optimizer keeps of a weight, where and as the weight is laid out in memory."""
    if not isinstance(value, Tensor) or value.ndim == 0:  # a number of steps stays on the CPU
        return value
    if value.shape != weight.shape:
        return value.to(weight.device)
    return torch.empty_like(weight, dtype=value.dtype).copy_(value).detach()


def _on_gpu(module: nn.Module) -> bool:
    return next(module.parameters()).is_cuda


def _resume(
    saved: Mapping[str, Any] | None,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: OneCycleLR,
    draws: torch.Generator,
) -> tuple[int, float]:
    """Bring all to a state, if there is one; return the epochs that are done, and the accuracy."""
    if saved is None:
        return 0, 0.0
    module.load_state_dict({name: saved[f"module/{name}"] for name in module.state_dict()})
    weights = dict(module.named_parameters())
    for place, value in saved.items():
        kind, _, rest = place.partition("/")
        if kind == "optimizer":
            key, _, name = rest.partition("/")
            optimizer.state[weights[name]][key] = _placed_like(weights[name], value)
    schedule.load_state_dict(saved["schedule"])
    for group, rate in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
        group["lr"] = rate
    draws.set_state(saved["draws"])
    torch.set_rng_state(saved["global"])
    if "cuda" in saved and _on_gpu(module):
        torch.cuda.set_rng_state(saved["cuda"])
    return saved["epochs"], saved["accuracy"]
