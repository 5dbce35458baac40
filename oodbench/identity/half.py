"""Weights in 16 bits: half the size, for a folder that is shipped."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".safetensors"
"""Files of this kind hold tensors; others are left as they are."""


def narrow(source: Path, target: Path) -> None:
    """Write a file of tensors with those of float32 as float16.

    Raises:
        ValueError: if a value is not finite in 16 bits.
    """
    import torch
    from safetensors.torch import load_file, save

    tensors = load_file(source)
    for name, value in tensors.items():
        if value.dtype == torch.float32:
            tensors[name] = value.half()
            if not tensors[name].isfinite().all():
                largest = float(value.abs().max())
                raise ValueError(f"'{name}' reaches {largest:.3g}, more than 16 bits can hold")
    target.write_bytes(save(tensors))


def widen(source: Path, target: Path) -> None:
    """Write a file that `narrow` wrote with its tensors of float16 as float32."""
    import torch
    from safetensors.torch import load_file, save

    tensors = load_file(source)
    widened = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in tensors.items()
    }
    target.write_bytes(save(widened))
