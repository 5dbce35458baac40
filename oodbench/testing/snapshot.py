"""Compare what a detector holds before and after it scored."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

OPAQUE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
"""Values that hold no state of their own."""

DATA = (Tensor, np.ndarray, str, bytes, int, float, list, dict, set, type(None))
"""Values of a module's globals that a detector could keep something in."""


def snapshot(detector: object) -> dict[str, Any]:
    """Return copies of all that a detector could keep something in, by what to call it.

    That is its attributes, those of its class and of base classes in the same module, and the data
    among the globals of that module.
    """
    cls = type(detector)
    found = {f"self.{name}": value for name, value in vars(detector).items()}
    for base in cls.__mro__:
        if base.__module__ == cls.__module__:
            found |= {f"{base.__name__}.{name}": value for name, value in vars(base).items()}
    module = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    found |= {
        f"the global {name}": value
        for name, value in module.items()
        if isinstance(value, DATA) and not name.startswith("__")
    }
    return {name: _copied(value, set()) for name, value in found.items()}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what to call the first thing that is not as it was; "" if all is."""
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in before or name not in after or not _same(before[name], after[name]):
            return name
    return ""


def _copied(value: Any, seen: set[int]) -> Any:
    """Return a copy to compare with later; of an object, that of its attributes.

    Args:
        value: anything.
        seen: the objects that the copy is within, which may refer to themselves.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy()) if value.dtype.kind in "fiub" else value.tolist()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, OPAQUE) or id(value) in seen:
        return type(value)
    seen = seen | {id(value)}
    if isinstance(value, Mapping):
        return {key: _copied(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, seen) for item in value]
    if isinstance(value, np.random.Generator):
        return _copied(value.bit_generator.state, seen)
    if hasattr(value, "__dict__"):
        return {"": type(value), **_copied(vars(value), seen)}
    return value if isinstance(value, DATA) else type(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        return bool(((one == other) | ((one != one) & (other != other))).all())
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or one != one
