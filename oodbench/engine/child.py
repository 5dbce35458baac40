"""A process that runs jobs one after another, and may crash, hang or take all memory.

Jobs of third-party plugins run in it when they are not run by Ray. The two processes send each
other pickled messages over the child's standard input and output.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from oodbench.engine.memory import occupied
from oodbench.engine.worker import Outcome, Report, execute, took_too_long
from oodbench.errors import describe
from oodbench.hardware import free_memory
from oodbench.plan.jobs import Job
from oodbench.registry.isolation import isolated

WATCH_SECONDS = 0.05
"""How often time and memory of a job are looked at."""

END_SECONDS = 5.0
"""How long a process whose output was closed may take to end."""

MEMORY_SHARE = 0.95
"""What a job may take of the memory that is free when it begins: more than what its own process
allows, which cannot look while it waits for a single allocation."""

_START = """
import sys
sys.path[:] = {path!r}
from oodbench.engine.child import main
main({trace!r})
"""
_LENGTH_BYTES = 8


class Child:
    """Runs jobs in a process of their own, in a ``with`` block.

    The process is started for the first job, serves all that follow, and is started again when a
    job has ended it. It ends with the block, and with the process that started it.

    Args:
        timeout: seconds that a job may take; None for any number.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def execute(self, job: Job, location: str, device: str, report: Report) -> Outcome:
        """Run a job as `worker.execute` does; that its process is lost is an `Outcome` too."""
        from ray import cloudpickle  # sends the classes of notebooks and scripts along

        try:
            with isolated():
                content: bytes = cloudpickle.dumps(  # type: ignore[no-untyped-call]
                    (job, location, device)
                )
        except Exception as error:  # a third-party object may raise anything when it is pickled
            reason = f"cannot be pickled: {describe(error)}"
            return Outcome(reason, traceback.format_exc())
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # the process is gone, which the loop notices
            _write(self._process.stdin, content)
        began = time.monotonic()
        outcome = self._wait(self._process, report)
        return replace(outcome, seconds=time.monotonic() - began)

    def _start(self) -> None:
        """Start the process, and return when it is ready for jobs."""
        handle, name = tempfile.mkstemp(prefix="oodbench-", suffix=".trace")
        os.close(handle)
        self._trace = Path(name)
        self._messages = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter)
            [sys.executable, "-c", _START.format(path=sys.path, trace=name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the terminal is for us to handle
        )
        arguments = (self._process.stdout, self._messages)
        threading.Thread(target=_receive, args=arguments, daemon=True).start()
        if self._messages.get() is None:  # it has ended already
            self._messages.put(None)

    def _wait(self, process: subprocess.Popen[bytes], report: Report) -> Outcome:
        """Pass on the job's reports, and return its outcome."""
        began = time.monotonic()
        limit = MEMORY_SHARE * (free_memory() + occupied(process.pid))
        while True:
            if self._timeout is not None and time.monotonic() - began > self._timeout:
                return self._lose(took_too_long(self._timeout))
            if occupied(process.pid) > limit:
                return self._lose(
                    f"took more than {limit / 2**30:.1f} GiB of memory, {MEMORY_SHARE:.0%} of "
                    "what was free"
                )
            try:
                message = self._messages.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                if process.poll() is None:
                    continue
                message = None  # what it forked may hold its output open
            if message is None:
                return self._lose(f"its process {_ending(process)}")
            if isinstance(message, Outcome):
                return message
            report(*message)

    def _lose(self, reason: str) -> Outcome:
        """End the process; return the reason, with what the job was doing."""
        process, trace = self._process, self._trace
        assert process is not None
        if process.poll() is None and hasattr(signal, "SIGUSR1"):
            process.send_signal(signal.SIGUSR1)
            time.sleep(4 * WATCH_SECONDS)
        doing = trace.read_text(encoding="utf-8", errors="replace")
        self._end()
        return Outcome(reason, doing)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # with all that plugins started
            else:
                process.kill()
        process.wait()
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        self._trace.unlink(missing_ok=True)


def _ending(process: subprocess.Popen[bytes]) -> str:
    """Return what became of a process that is silent, as ``"was ended by SIGSEGV"``."""
    try:
        code = process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:  # a plugin closed its output
        return "does not answer"
    if code < 0:
        names = {each.value: each.name for each in signal.Signals}  # all but real-time signals
        return f"was ended by {names.get(-code, f'signal {-code}')}"
    return f"ended with exit code {code}"


def main(trace: str) -> None:
    """Run the jobs that the parent sends, until it is gone.

    Args:
        trace: path of a file for what was being done when the process crashed, or was asked.
    """
    _end_with_parent()
    file = Path(trace).open("w", encoding="utf-8")  # noqa: SIM115 (as long as the process)
    faulthandler.enable(file)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, file, chain=False)
    source, sink = (os.fdopen(os.dup(number), mode) for number, mode in ((0, "rb"), (1, "wb")))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what plugins print is no message
    lock = threading.Lock()

    def send(message: object) -> None:
        with lock:
            _write(sink, pickle.dumps(message))

    contents: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    import torch  # noqa: F401 (its import is no part of a job's time)

    threading.Thread(target=_take_in, args=(source, contents), daemon=True).start()
    send("ready")
    while True:
        send(_run(contents.get(), lambda *report: send(report)))


def _run(content: bytes, report: Report) -> Outcome:
    try:
        with isolated():
            job, location, device = pickle.loads(content)  # noqa: S301 (from our parent)
    except Exception as error:  # a plugin's module may raise anything when it is imported
        reason = f"cannot be sent to another process: {describe(error)}"
        return Outcome(reason, traceback.format_exc())
    return execute(job, location, device, report)


def _end_with_parent() -> None:
    """Have Linux end this process, whatever it does, when its parent has ended; and end first.

    When memory runs out, Linux ends it rather than its parent. Elsewhere the process ends when its
    standard input is closed.
    """
    if sys.platform != "linux":
        return
    import ctypes

    parent_death_signal = 1
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _take_in(source: IO[bytes], contents: queue.SimpleQueue[bytes]) -> None:
    """Queue what the parent sends; end the process when it is gone, whatever a job does."""
    for content in _read(source):
        contents.put(content)
    os._exit(1)


def _receive(source: IO[bytes], messages: queue.SimpleQueue[Any]) -> None:
    """Queue what the child sends, and None at the end."""
    with source, suppress(Exception):  # a process that is ended leaves half a message
        for content in _read(source):
            messages.put(pickle.loads(content))  # noqa: S301 (from our child)
    messages.put(None)


def _write(sink: IO[bytes], content: bytes) -> None:
    sink.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
    sink.flush()


def _read(source: IO[bytes]) -> Iterator[bytes]:
    """Yield messages until the other side closes."""
    while len(header := source.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        yield source.read(int.from_bytes(header, "big"))
