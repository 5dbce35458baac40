"""The most memory of a process during a block is measured."""

from __future__ import annotations

import sys
import time

import pytest

from oodbench.engine import memory
from oodbench.engine.memory import SAMPLE_SECONDS, PeakMemory, TooMuchMemoryError
from oodbench.errors import describe

SIZE = 64 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="samples are read from /proc")
def test_memory_that_was_given_back_counts() -> None:
    with PeakMemory("cpu") as idle:
        pass
    with PeakMemory("cpu") as busy:
        held = bytearray(b"x") * SIZE
        time.sleep(4 * SAMPLE_SECONDS)
        del held
    assert busy.figures["peak_memory"] >= idle.figures["peak_memory"] + 0.9 * SIZE
    with PeakMemory("cpu") as after:
        pass
    assert after.figures["peak_memory"] < busy.figures["peak_memory"] - 0.5 * SIZE


def test_without_a_gpu_its_memory_is_not_measured() -> None:
    with PeakMemory("cpu") as measured:
        pass
    assert "peak_gpu_memory" not in measured.figures


@pytest.mark.skipif(sys.platform != "linux", reason="samples are read from /proc")
def test_a_block_that_takes_nearly_all_that_was_free_is_ended(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: SIZE)

    def hoard() -> None:
        held = []
        for _ in range(20):
            held.append(bytearray(b"x") * (SIZE // 4))
            time.sleep(SAMPLE_SECONDS)

    with pytest.raises(TooMuchMemoryError) as caught, PeakMemory("cpu"):
        hoard()
    expected = "TooMuchMemoryError: took more than 90% of the memory that was free"
    assert describe(caught.value).startswith(expected)
