"""Check that the harness of the fuzzing sees what it looks for."""

from __future__ import annotations

import pytest
from harness import Oodbench

FAULTS = {
    "traceback": "raise KeyError('x')",
    "hunger": "b'x' * (5 * 2**28)",
    "escape": "print('\\x1b[2J')",
    "code": "return 3",
    "silence": "return 2",
    "slowness": "import time; any(time.process_time() > 20 for _ in iter(int, 1))",
    "death": "import os; os._exit(3)",
}
SETUP = """
import oodbench.cli
def main(arguments):
    {fault}
    return 0
oodbench.cli.main = main
"""


def test_a_command_that_works_gives_code_and_output() -> None:
    with Oodbench() as oodbench:
        finished = oodbench("--version")
        assert (finished.code, finished.output[:9]) == (0, "oodbench ")
        assert oodbench("table", "/nowhere").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str) -> None:
    with Oodbench(SETUP.format(fault=FAULTS[fault])) as oodbench, pytest.raises(AssertionError):
        oodbench("list")
