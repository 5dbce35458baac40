"""Keep checkpoints of a job in the store until its artifact is complete."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from oodbench.contracts import Checkpoint

EVERY_SECONDS = 60.0
"""Time between two checkpoints."""


class FileCheckpoint(Checkpoint):
    """A checkpoint in one file: tensors as safetensors, the rest as JSON in its header.

    Args:
        path: the file; its folder is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = time.monotonic()

    def load(self) -> Mapping[str, Any] | None:
        """Return the state that was saved last; None if there is none, or it is damaged."""
        try:
            with safe_open(self.path, framework="pt") as file:
                rest: dict[str, Any] = json.loads(file.metadata()["rest"])
                return rest | {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def is_due(self) -> bool:
        """Return whether a minute has passed since the last time."""
        return time.monotonic() - self._last > EVERY_SECONDS

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state; the one before stays until it is complete."""
        self._last = time.monotonic()
        tensors = {
            name: value.detach().cpu().contiguous().clone()
            for name, value in state.items()
            if isinstance(value, torch.Tensor)
        }
        rest = {name: value for name, value in state.items() if name not in tensors}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        save_file(tensors, draft, metadata={"rest": json.dumps(rest)})
        draft.replace(self.path)
