"""The machine's capabilities, found without importing torch where possible."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

from oodbench.errors import UserError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "bfloat16", "float32")

BATCH_SIZES = {"cpu": 100, "cuda": 500}
"""Images that pass through a network at a time: on a CPU, what its layers put out should stay in
the caches (100 images of MNIST pass 1.7 times as fast as 500 do, in float32)."""

BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""CPU flags (x86 and Arm) that mean arithmetic in bfloat16."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the control groups (version 2) that limit containers and services."""


def count_cpus() -> int:
    """Return the number of CPUs that this process may keep busy, at least 1."""
    bound = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    return max(int(min(cpus, _cpu_quota())), 1)


def _control_groups() -> list[Path]:
    """Return the folders of the control groups around this process; empty where there are none."""
    try:
        text = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return []
    own = next((line[3:] for line in text.splitlines() if line.startswith("0::")), "/")
    group = CONTROL_GROUPS / own.strip("/")
    return [group, *group.parents]


def _cpu_quota() -> float:
    """Return the CPUs that the control groups around this process allow; infinite without limit."""
    quotas = (_read_quota(group / "cpu.max") for group in _control_groups())
    return min(quotas, default=math.inf)


def _read_quota(limit: Path) -> float:
    """Return the quotient of microseconds of CPU time and of real time in a file ``cpu.max``."""
    try:
        allowed, period = limit.read_text(encoding="utf-8").split()
        return int(allowed) / int(period)
    except (OSError, ValueError):  # there is no such group, or its quota is "max"
        return math.inf


def free_memory() -> float:
    """Return the bytes that processes can still take; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    sizes = {name: size for name, _, size in (line.partition(":") for line in lines)}
    available = sizes.get("MemAvailable", "").split()
    free = int(available[0]) * 1024.0 if available else math.inf
    return min(free, *(_read_free(group) for group in _control_groups()))


def _read_free(group: Path) -> float:
    """Return the bytes that a control group still allows; the cache of files can be given back."""
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        sizes = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # there is no such group, or its limit is "max"
        return math.inf
    cache = next((int(line.split()[1]) for line in sizes if line.startswith("inactive_file ")), 0)
    return max(limit - used + cache, 0)


def count_gpus() -> int:
    """Return the number of GPUs that torch can use."""
    drivers = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
    if platform.system() == "Linux" and not any(path.exists() for path in drivers):
        return 0  # no driver of NVIDIA's, AMD's or WSL's: no need to ask torch, which takes seconds
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve_gpus(device: str) -> int:
    """Return how many GPUs to use for ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        UserError: if a GPU is asked for and there is none, or ``device`` is something else.
    """
    if device not in DEVICES:
        raise UserError(f"unknown device '{device}'; known: {', '.join(DEVICES)}")
    if device == "cpu":
        return 0
    found = count_gpus()
    if device == "cuda" and not found:
        raise UserError("--device cuda: torch finds no GPU here; use --device cpu or auto")
    return found


def resolve_precision(precision: str, gpus: int) -> str:
    """Return ``"bfloat16"`` or ``"float32"`` for ``"auto"``: bfloat16 where the hardware has it.

    Raises:
        UserError: if ``precision`` is none of the three.
    """
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision '{precision}'; known: {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    if gpus:
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if BFLOAT16_FLAGS & _cpu_flags() else "float32"


def _cpu_info() -> dict[str, str]:
    """Return what Linux says about the first CPU; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_flags() -> frozenset[str]:
    info = _cpu_info()
    return frozenset(f"{info.get('flags', '')} {info.get('Features', '')}".split())


def describe() -> dict[str, object]:
    """Return name and number of CPUs and GPUs, and the memory in GiB, for ``run.json``."""
    gpus = count_gpus()
    names = []
    if gpus:
        import torch

        names = [torch.cuda.get_device_name(number) for number in range(gpus)]
    memory = 0.0
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.platform(),
        "cpu": _cpu_info().get("model name") or platform.processor() or platform.machine(),
        "cpus": count_cpus(),
        "memory_gib": round(memory, 1),
        "gpus": names,
    }
