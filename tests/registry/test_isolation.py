"""What a block of a plugin's code changes is put back, and what it raises is an exception."""

from __future__ import annotations

import asyncio
import gc
import locale
import logging
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.errors import PluginAborted, describe
from oodbench.registry.isolation import isolated

CHANGES = {
    "default dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.get_default_dtype(),
    ),
    "default device": (
        lambda: torch.set_default_device("meta"),
        lambda: torch.empty(0).device,
    ),
    "grad mode": (lambda: torch.set_grad_enabled(False), lambda: torch.is_grad_enabled()),
    "inference mode": (
        lambda: LEFT_OPEN.append(torch.inference_mode()) or LEFT_OPEN[-1].__enter__(),
        lambda: (torch.is_inference_mode_enabled(), torch.is_grad_enabled()),
    ),
    "anomaly mode": (
        lambda: torch.autograd.set_detect_anomaly(True),
        lambda: torch.is_anomaly_enabled(),
    ),
    "determinism": (
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.get_deterministic_debug_mode(),
    ),
    "matmul precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: torch.get_float32_matmul_precision(),
    ),
    "cudnn": (
        lambda: torch.backends.cudnn.__setattr__("benchmark", True),
        lambda: torch.backends.cudnn.benchmark,
    ),
    "flushed denormals": (
        lambda: torch.set_flush_denormal(True),
        lambda: sys.float_info.min / 2,
    ),
    "threads": (
        lambda: torch.set_num_threads(torch.get_num_threads() + 1),
        lambda: torch.get_num_threads(),
    ),
    "generator of torch": (lambda: torch.manual_seed(5), lambda: torch.initial_seed()),
    "generator of numpy": (
        lambda: np.random.seed(5),  # noqa: NPY002
        lambda: np.random.get_state()[1].tolist(),  # noqa: NPY002
    ),
    "generator of Python": (lambda: random.seed(5), lambda: random.getstate()),
    "error state of numpy": (lambda: np.seterr(all="raise"), lambda: np.geterr()),
    "working directory": (lambda: os.chdir("/"), lambda: Path.cwd()),
    "warnings": (lambda: warnings.simplefilter("ignore"), lambda: list(warnings.filters)),
    "environment": (
        lambda: os.environ.update(HOME="elsewhere", CUDA_VISIBLE_DEVICES="7"),
        lambda: dict(os.environ),
    ),
    "environment, emptied": (lambda: os.environ.clear(), lambda: dict(os.environ)),
    "signal handlers": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "interrupt handler": (
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGINT),
    ),
    "import path": (lambda: sys.path.clear(), lambda: list(sys.path)),
    "standard output": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "recursion limit": (lambda: sys.setrecursionlimit(2_000_000), lambda: sys.getrecursionlimit()),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL, "C"),
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "logging": (
        lambda: logging.disable(logging.CRITICAL),
        lambda: logging.root.manager.disable,
    ),
    "garbage collection": (lambda: gc.disable(), lambda: gc.isenabled()),
}
LEFT_OPEN: list = []


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_plugin_changes_is_put_back(name: str) -> None:
    change, read = CHANGES[name]
    before = read()
    with isolated():
        change()
    assert read() == before


def test_what_is_changed_is_put_back_after_an_exception() -> None:
    def change_and_raise() -> None:
        torch.set_default_dtype(torch.float64)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), isolated():
        change_and_raise()
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no alarms")
def test_an_alarm_that_was_set_is_stopped() -> None:
    with isolated():
        signal.alarm(3600)
    assert signal.alarm(0) == 0


def test_folders_to_import_from_that_were_added_come_last() -> None:
    before = list(sys.path)
    with isolated():
        sys.path.insert(0, "/added")
    assert sys.path == [*before, "/added"]
    sys.path.remove("/added")


def test_a_working_directory_that_was_removed_is_left(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with isolated():
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
    assert Path.cwd() == tmp_path


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let SIGINT arrive, which a shell has commands in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("in_thread", [True, False])
def test_where_no_interrupt_arrives_it_is_the_plugins(in_thread: bool) -> None:
    def interrupt() -> None:
        with pytest.raises(PluginAborted), isolated():
            raise KeyboardInterrupt

    if in_thread:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(interrupt).result()
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupt()


class Panic(BaseException):
    """What extension modules written in Rust raise when they panic."""


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (asyncio.CancelledError("stop"), "CancelledError: stop"),
        (GeneratorExit(), "GeneratorExit"),
        (Panic("index out of bounds"), "Panic: index out of bounds"),
        (SystemExit("bye"), "SystemExit: bye"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_is_no_exception_becomes_one(raised: BaseException, line: str) -> None:
    with pytest.raises(PluginAborted) as caught, isolated():
        raise raised
    assert describe(caught.value).startswith(f"{line} (test_isolation.py:")


def press() -> None:
    """Do what Ctrl-C does, and wait for it."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


def test_the_users_interrupt_ends_the_block() -> None:
    with pytest.raises(KeyboardInterrupt), isolated(), isolated():
        press()


def test_an_interrupt_that_a_plugin_swallows_still_ends_the_block() -> None:
    with pytest.raises(KeyboardInterrupt), isolated(), suppress(BaseException):
        press()


def test_an_interrupt_that_a_plugin_turns_into_an_error_still_ends_the_block() -> None:
    def press_and_raise() -> None:
        try:
            press()
        except KeyboardInterrupt as error:
            raise RuntimeError("a worker exited") from error

    with pytest.raises(KeyboardInterrupt), isolated():
        press_and_raise()


def in_fresh_interpreter(script: str) -> str:
    """Return what a script prints that knows `isolated` and has imported no library before."""
    script = f"import sys\nfrom oodbench.registry.isolation import isolated\n{script}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_no_library_is_imported_to_keep_its_state() -> None:
    script = "import numpy\nwith isolated(): pass\n"
    script += "print({'logging', 'numpy.random', 'torch'} & set(sys.modules))"
    assert in_fresh_interpreter(script) == "set()\n"


def test_a_generator_that_a_plugin_imports_and_seeds_is_drawn_anew() -> None:
    script = "with isolated():\n    import numpy\n    numpy.random.seed(5)\n"
    script += "print(numpy.random.random())"
    assert float(in_fresh_interpreter(script)) != np.random.RandomState(5).random()


def test_isolation_is_cheap() -> None:
    def measure() -> float:
        started = time.perf_counter()
        for _ in range(20):
            with isolated():
                pass
        return (time.perf_counter() - started) / 20

    assert min(measure() for _ in range(5)) < 0.005
