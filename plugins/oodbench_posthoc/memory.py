"""The memory that a fit needs, compared with what is free before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.contracts import PluginError

if TYPE_CHECKING:
    import torch

GIB = 2**30

MEMORY = Path("/proc/meminfo")
"""Where Linux says how much memory the machine has left."""

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much memory a container may take (control groups, version 2)."""


def check_memory(needed: float, images: int, device: torch.device) -> None:
    """Raise an error if a fit does not fit into memory.

    Args:
        needed: bytes.
        images: number of images that they are needed for.
        device: where.

    Raises:
        PluginError: if less is free; where that is unknown, everything fits.
    """
    free = free_memory(device)
    if needed > free:
        raise PluginError(
            f"needs about {needed / GIB:.1f} GiB of memory to be fitted on {images:,} images, "
            f"and {free / GIB:.1f} GiB are free"
        )


def free_memory(device: torch.device) -> float:
    """Return the bytes that are free on a device; infinity if that is unknown."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    return min(_free_on_machine(), _free_in_container())


def _free_on_machine() -> float:
    try:
        lines = MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    kibibytes = {
        name: value.split()[0] for name, _, value in (each.partition(":") for each in lines)
    }
    return float(kibibytes.get("MemAvailable", "inf")) * 1024


def _free_in_container() -> float:
    try:
        limit = (CONTROL_GROUP / "memory.max").read_text(encoding="ascii").strip()
        taken = (CONTROL_GROUP / "memory.current").read_text(encoding="ascii")
        return float("inf") if limit == "max" else float(limit) - float(taken)
    except OSError:  # there is no such group, or no limit on it
        return float("inf")
