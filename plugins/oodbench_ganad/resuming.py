"""The state of a training: collecting it from its parts, and restoring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def gather(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of all parts, each name prefixed by the part's and a slash.

    Args:
        parts: modules, random generators, and objects with `state` and `restore`.
    """
    return {
        f"{name}/{key}": value
        for name, part in parts.items()
        for key, value in _state(part).items()
    }


def scatter(saved: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Bring all parts to the state that `gather` returned."""
    for name, part in parts.items():
        prefix = f"{name}/"
        own = {
            key.removeprefix(prefix): value
            for key, value in saved.items()
            if key.startswith(prefix)
        }
        match part:
            case nn.Module():
                part.load_state_dict(own)
            case torch.Generator():
                part.set_state(own["state"])
            case _:
                part.restore(own)


def _state(part: Any) -> Mapping[str, Any]:
    match part:
        case nn.Module():
            return part.state_dict()
        case torch.Generator():
            return {"state": part.get_state()}
        case _:
            found: Mapping[str, Any] = part.state()
            return found
