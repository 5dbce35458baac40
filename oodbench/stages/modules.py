"""Classifier modules: built, saved as safetensors, and restored."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from oodbench.contracts import Classifier
from oodbench.store.artifacts import Artifact, Draft

WEIGHTS = "model.safetensors"


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """Return a context in which networks compute in ``"bfloat16"``, or change nothing."""
    if precision == "bfloat16":
        return torch.autocast(device, dtype=torch.bfloat16)
    return nullcontext()


def save_module(module: nn.Module, draft: Draft) -> None:
    """Write the weights and buffers of a module."""
    state = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
    save_file(state, draft / WEIGHTS)


def load_classifier(classifier: Classifier, trained: Artifact, device: str) -> nn.Module:
    """Return a trained classifier on a device, in evaluation mode, its weights frozen."""
    module = classifier.build(tuple(trained.meta["shape"]), trained.meta["num_classes"])
    module.load_state_dict(load_file(trained / WEIGHTS))
    module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return module.requires_grad_(False)
