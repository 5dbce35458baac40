"""What the machine has is found out, where possible without torch."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench import hardware
from oodbench.errors import UserError


def test_cpus_are_those_that_this_process_may_use(one_cpu) -> None:
    if hasattr(os, "sched_getaffinity"):
        assert hardware.count_cpus() == 1
    else:
        assert hardware.count_cpus() == os.cpu_count()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("150000 100000", 1), ("400000 100000", 4), ("50000 100000", 1)],
)
def test_cpus_are_no_more_than_the_quota_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    if not Path("/proc/self/cgroup").exists():
        pytest.skip("there are no control groups")
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    monkeypatch.setattr(hardware, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert hardware.count_cpus() == expected


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UserError, match="unknown device 'tpu'; known: auto, cpu, cuda"):
        hardware.resolve_gpus("tpu")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UserError, match="unknown precision 'half'; known: auto, bfloat16, float32"):
        hardware.resolve_precision("half", gpus=0)


def test_the_cpu_can_always_be_asked_for() -> None:
    assert hardware.resolve_gpus("cpu") == 0


def test_a_gpu_is_used_where_there_is_one() -> None:
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    assert hardware.resolve_gpus("auto") == hardware.count_gpus() == found
    if found:
        assert hardware.resolve_gpus("cuda") == found
    else:
        with pytest.raises(UserError, match="torch finds no GPU"):
            hardware.resolve_gpus("cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_used(precision: str) -> None:
    assert hardware.resolve_precision(precision, gpus=0) == precision


def test_the_precision_follows_the_flags_of_the_cpu() -> None:
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    expected = "bfloat16" if {"avx512_bf16", "amx_bf16", "bf16"} & set(flags) else "float32"
    assert hardware.resolve_precision("auto", gpus=0) == expected


def test_the_machine_is_described_without_torch_where_there_is_no_driver() -> None:
    program = (
        "import json, sys; from oodbench import hardware; found = hardware.describe(); "
        "print(json.dumps([found, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    described, loaded = json.loads(done.stdout)
    assert described["cpus"] >= 1
    assert described["cpu"]
    assert described["memory_gib"] > 0
    assert loaded == any(Path("/dev", name).exists() for name in ("nvidiactl", "kfd"))


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_some_memory_is_free() -> None:
    assert 2**20 < hardware.free_memory() < 2**50


def test_a_control_group_limits_the_memory_that_is_free(tmp_path: Path) -> None:
    for name, text in (
        ("memory.max", "1000\n"),
        ("memory.current", "900\n"),
        ("memory.stat", "anon 600\ninactive_file 50\n"),
    ):
        (tmp_path / name).write_text(text)
    assert hardware._read_free(tmp_path) == 150
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware._read_free(tmp_path) == math.inf
