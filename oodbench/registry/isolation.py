"""Isolation of plugins' code: the state of the process is kept, and no exception ends a run.

What a plugin changes by replacing attributes of modules that others use cannot be undone here.
"""

from __future__ import annotations

import gc
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from oodbench.errors import PluginAborted


class _Setting(NamedTuple):
    """A global setting of a library.

    Attributes:
        read: returns its value, given the library's module.
        write: sets it.
        fresh: its value where the library has just been imported.
    """

    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]
    fresh: Callable[[Any], Any]


def _flag(path: str, fresh: int) -> _Setting:
    """Return the setting that is an attribute somewhere below the library's module."""
    *parents, name = path.split(".")

    def owner(module: Any) -> Any:
        for parent in parents:
            module = getattr(module, parent)
        return module

    return _Setting(
        lambda module: getattr(owner(module), name),
        lambda module, value: setattr(owner(module), name, value),
        lambda _: fresh,
    )


def _read_device(torch: Any) -> Any:
    """Return the default device."""
    try:
        return torch.get_default_device()
    except AttributeError:  # older torch, once a default device was taken back
        return torch.device("cpu")


def _write_device(torch: Any, device: Any) -> None:
    """Set the default device; the CPU is the default where none was ever set."""
    torch.set_default_device(None if device.type == "cpu" else device)


SETTINGS: dict[str, tuple[_Setting, ...]] = {
    "torch": (
        _Setting(
            lambda torch: torch.get_default_dtype(),
            lambda torch, value: torch.set_default_dtype(value),
            lambda torch: torch.float32,
        ),
        _Setting(
            _read_device,
            _write_device,
            lambda torch: torch.device("cpu"),
        ),
        _Setting(
            lambda torch: torch.is_grad_enabled(),
            lambda torch, value: torch.set_grad_enabled(value),
            lambda _: True,
        ),
        _Setting(
            lambda torch: torch.is_anomaly_enabled(),
            lambda torch, value: torch.autograd.set_detect_anomaly(value),
            lambda _: False,
        ),
        _Setting(
            lambda torch: torch.get_deterministic_debug_mode(),
            lambda torch, value: torch.set_deterministic_debug_mode(value),
            lambda _: 0,
        ),
        _Setting(
            lambda torch: torch.get_float32_matmul_precision(),
            lambda torch, value: torch.set_float32_matmul_precision(value),
            lambda _: "highest",
        ),
        _flag("backends.cudnn.enabled", True),
        _flag("backends.cudnn.benchmark", False),
        _flag("backends.cudnn.deterministic", False),
        _flag("backends.cudnn.allow_tf32", True),
        _Setting(
            lambda _: sys.float_info.min / 2 == 0,
            lambda torch, value: torch.set_flush_denormal(value),
            lambda _: False,
        ),
    ),
    "numpy": (
        _Setting(
            lambda numpy: numpy.geterr(),
            lambda numpy, value: numpy.seterr(**value),
            lambda _: {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
        ),
    ),
    "logging": (_flag("root.manager.disable", 0),),
}
"""The settings of libraries, which are not imported for them."""


@contextmanager
def isolated() -> Iterator[None]:
    """Run a plugin's code in the block: put the state of the process back, whatever happens.

    Raises:
        PluginAborted: in place of what the block raises that is no `Exception`, such as
            `SystemExit`, ``asyncio.CancelledError`` or a panic of an extension module.
        KeyboardInterrupt: if the user interrupts the block, whatever the block makes of that; one
            that the block raises by itself becomes `PluginAborted`.
    """
    with ExitStack() as stack:
        _keep_process(stack)
        _keep_libraries(stack)
        interrupted = _note_interrupts()
        try:
            yield
        except BaseException as error:
            if interrupted is not None and interrupted.is_set():
                raise KeyboardInterrupt from error
            unknown = interrupted is None and isinstance(error, KeyboardInterrupt)
            if isinstance(error, Exception) or unknown:
                raise
            raise PluginAborted(error) from error
        if interrupted is not None and interrupted.is_set():
            raise KeyboardInterrupt


def _keep_process(stack: ExitStack) -> None:
    """Restore the state of Python and of the process."""

    def put_back(action: Callable[..., object], *values: Any) -> None:
        stack.callback(_without_failing, action, *values)

    stack.enter_context(warnings.catch_warnings())
    with suppress(OSError):  # a working directory may have been removed
        put_back(os.chdir, Path.cwd())
    put_back(_replace_environment, dict(os.environ))
    put_back(random.setstate, random.getstate())
    put_back(_order_path, sys.path, list(sys.path))
    for name in ("stdin", "stdout", "stderr", "excepthook", "path"):
        put_back(setattr, sys, name, getattr(sys, name))
    put_back(sys.setrecursionlimit, sys.getrecursionlimit())
    put_back(locale.setlocale, locale.LC_ALL, locale.setlocale(locale.LC_ALL))
    put_back(gc.enable if gc.isenabled() else gc.disable)
    if threading.current_thread() is threading.main_thread():
        put_back(_replace_handlers, _handlers(), _alarm())


def _keep_libraries(stack: ExitStack) -> None:
    """Restore the settings of libraries, including those imported meanwhile."""
    before = {
        name: [setting.read(sys.modules[name]) for setting in settings]
        for name, settings in SETTINGS.items()
        if name in sys.modules
    }
    stack.callback(_replace_settings, before)
    generator = sys.modules.get("numpy.random")  # which numpy itself imports when it is used
    state = generator.get_state(legacy=False) if generator else None
    stack.callback(_without_failing, _replace_generator, state)
    if "torch" in before:
        _keep_torch(stack, sys.modules["torch"])


def _keep_torch(stack: ExitStack, torch: Any) -> None:
    """Put back generators, threads and modes of torch."""
    stack.callback(_without_failing, torch.set_num_threads, torch.get_num_threads())
    stack.callback(_without_failing, torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():
        states = torch.cuda.get_rng_state_all()
        stack.callback(_without_failing, torch.cuda.set_rng_state_all, states)
    learns = torch.is_grad_enabled()
    stack.enter_context(torch.inference_mode(torch.is_inference_mode_enabled()))
    torch.set_grad_enabled(learns)  # which entering an inference mode has changed


def _note_interrupts() -> threading.Event | None:
    """Return an event that is set when the user interrupts; None where that cannot be told."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not in_main_thread or before is signal.SIG_IGN:
        return threading.Event()  # where none arrives, such as in the background of a script
    if before is not signal.default_int_handler and not isinstance(before, _Interrupts):
        return None
    interrupts = _Interrupts(before)
    signal.signal(signal.SIGINT, interrupts)
    return interrupts.noted


class _Interrupts:
    """Note that SIGINT arrived, and do what was done before."""

    def __init__(self, before: Callable[[int, FrameType | None], Any]) -> None:
        self.noted = threading.Event()
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.noted.set()
        self._before(number, frame)


def _without_failing(action: Callable[..., object], *values: Any) -> None:
    """Put one thing back; where that fails, the others are put back all the same."""
    with suppress(Exception):
        action(*values)


def _replace_settings(before: dict[str, list[Any]]) -> None:
    for name, settings in SETTINGS.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        values = before.get(name) or [setting.fresh(module) for setting in settings]
        for setting, value in zip(settings, values, strict=True):
            with suppress(Exception):
                if setting.read(module) != value:
                    setting.write(module, value)


def _replace_generator(state: Any) -> None:
    """Set the state of numpy's generator; one that was imported meanwhile is seeded at random."""
    generator = sys.modules.get("numpy.random")
    if generator and state:
        generator.set_state(state)
    elif generator:
        generator.seed()


def _order_path(path: list[str], before: list[str]) -> None:
    """Put folders that were added last: a plugin may import from them later, but shadow nothing."""
    path[:] = before + [folder for folder in path if folder not in before]


def _replace_environment(before: dict[str, str]) -> None:
    if os.environ != before:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.Signals}


def _alarm() -> tuple[float, float]:
    return signal.getitimer(signal.ITIMER_REAL) if hasattr(signal, "getitimer") else (0.0, 0.0)


def _replace_handlers(before: dict[int, Any], alarm: tuple[float, float]) -> None:
    """Put signal handlers back, and stop an alarm that was set meanwhile."""
    if alarm == (0.0, 0.0) and _alarm() != alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)
