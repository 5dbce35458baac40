"""Run ``oodbench`` on hostile inputs, one after another in a process that is watched.

Whatever the input, a command ends with a known exit code and a sentence: no traceback, no more
than `MEMORY` bytes, no more than `SECONDS`, and nothing on the terminal that moves its cursor. One
process serves many inputs, because starting it takes longer than most of them::

    with Oodbench() as oodbench:
        finished = oodbench("table", str(folder))
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import selectors
import subprocess
import sys
import time
import traceback
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypothesis import HealthCheck, Phase, settings

SECONDS = 10.0
"""What an input may take of a processor; one that waits as long for something else hangs."""

MEMORY = 2**30
"""Bytes that an input may add to the memory of the process."""

CODES = (0, 1, 2)


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """Return a decorator that runs a property test on so many inputs, the same ones each time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # the input that failed lies in the test's folder
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Finished:
    """What became of a command: its exit code, and what it printed."""

    code: int
    output: str
    errors: str


class Oodbench:
    """A process that runs commands of oodbench.

    Args:
        setup: Python code that the process runs first.
    """

    def __init__(self, setup: str = "") -> None:
        self._setup = setup
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __call__(self, *arguments: str) -> Finished:
        """Run a command.

        Raises:
            AssertionError: if it breaks one of the promises; the process is started anew.
        """
        process = self._process or self._start()
        answer = self._ask(process, arguments)
        finished = Finished(answer["code"], answer["output"], answer["errors"])
        try:
            assert not answer["trace"], f"{arguments} raised\n{answer['trace']}"
            _check(arguments, finished, answer["seconds"], answer["grown"])
        except AssertionError:
            self.stop()
            raise
        return finished

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._setup],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        )
        return self._process

    def _ask(self, process: subprocess.Popen[str], arguments: Sequence[str]) -> dict[str, Any]:
        """Hand a command over, and wait for its answer as long as it may take."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            # The process itself says how long it took; this ends one that hangs.
            answered = waiting.select(timeout=6 * SECONDS)
        line = process.stdout.readline() if answered else ""
        if not line:
            self.stop()
            raise AssertionError(f"{arguments} {'crashed' if answered else 'hangs'}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _check(arguments: Sequence[str], finished: Finished, seconds: float, grown: int) -> None:
    assert finished.code in CODES, f"{arguments} ended with {finished.code}"
    assert seconds <= SECONDS, f"{arguments} took {seconds:.1f} s"
    assert grown <= MEMORY, f"{arguments} took {grown:,} bytes"
    printed = finished.output + finished.errors
    assert finished.code == 0 or printed.strip(), f"{arguments} failed without a word"
    assert "Traceback" not in printed, f"{arguments} printed a traceback:\n{printed}"
    moving = {letter for letter in printed if is_moving(letter)}
    assert not moving, f"{arguments} printed {moving}:\n{printed!r}"


def is_moving(letter: str) -> bool:
    """Return whether a character can move a terminal's cursor or turn text around."""
    return letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _serve() -> None:
    """Run the commands that come in, one a line, and answer each by a line."""
    if sys.argv[1]:
        exec(compile(sys.argv[1], "<setup>", "exec"), {})
    from oodbench.cli import main

    answers = sys.stdout
    _bound_memory()
    for line in sys.stdin:
        output, errors, trace, code = io.StringIO(), io.StringIO(), "", -1
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before, started = _memory("VmRSS"), time.process_time()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                code = main(json.loads(line))
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
            except BaseException:
                trace = traceback.format_exc()
        answer = {
            "code": code,
            "output": output.getvalue(),
            "errors": errors.getvalue(),
            "trace": trace,
            "seconds": time.process_time() - started,
            "grown": _memory("VmHWM") - before,
        }
        print(json.dumps(answer), file=answers, flush=True)


def _memory(name: str) -> int:
    """Return bytes of memory that the process has (``VmRSS``), or had at most (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _bound_memory() -> None:
    """Keep an input that is beyond all bounds from taking the machine with it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + 4 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


if __name__ == "__main__":
    _serve()
