"""The checkpoints of a job, kept in the store until its artifact is complete."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from oodbench.contracts import Checkpoint
from oodbench.errors import StoreError

EVERY_SECONDS = 60.0
"""Time between two checkpoints."""


class FileCheckpoint(Checkpoint):
    """A checkpoint in one file: SHA-256 of the rest, JSON with the job's name, and safetensors.

    Args:
        path: the file, called like the job; its folder is made if it is not there.
        note: told why a checkpoint cannot be used.
    """

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self.path = path
        self._note = note
        self._last = time.monotonic()

    def load(self) -> Mapping[str, Any] | None:
        """Return the state that was saved last; None if there is none.

        A checkpoint that is damaged, or of another job, is removed and noted.
        """
        try:
            return self._read(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except StoreError as error:
            reason = str(error)
        self._note(f"started from the beginning: its checkpoint {reason}")
        with suppress(OSError):
            self.path.unlink()
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
        header = json.dumps({"job": self.path.name, "rest": rest}).encode()
        payload = safetensors.torch.save(tensors)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with draft.open("wb") as file:
                file.writelines([_digest(header, payload), b"\n", header, b"\n", payload])
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def _read(self, content: bytes) -> dict[str, Any]:
        """Return the state in the content of a file.

        Raises:
            StoreError: if it is damaged, or of another job.
        """
        digest, _, rest = content.partition(b"\n")
        header, _, payload = rest.partition(b"\n")
        if digest != _digest(header, payload):
            raise StoreError("is damaged")
        saved = json.loads(header)
        if saved["job"] != self.path.name:
            raise StoreError(f"is of another job, {saved['job']}")
        state: dict[str, Any] = saved["rest"]
        return state | safetensors.torch.load(payload)


def _digest(header: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(header)
    digest.update(payload)
    return digest.hexdigest().encode()
