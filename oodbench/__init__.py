"""A benchmark of out-of-distribution detectors.

``oodbench.run(id="digits", detectors=["energy", "msp"])`` does what the command line does. It
returns a `Run`, which `read_run` reads from its folder; `evaluate` and `import_openood` make one
of scores computed elsewhere. `load_guard` opens an exported detector, a `Guard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodbench.guard.guard import Guard, load_guard
    from oodbench.results.run import Run, read_run
    from oodbench.runs.evaluated import evaluate
    from oodbench.runs.imported import import_openood
    from oodbench.runs.runner import run

__all__ = ["Guard", "Run", "evaluate", "import_openood", "load_guard", "read_run", "run"]


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is first asked for, since pandas takes a second."""
    if name == "run":
        from oodbench.runs.runner import run

        return run
    if name == "evaluate":
        from oodbench.runs.evaluated import evaluate

        return evaluate
    if name == "import_openood":
        from oodbench.runs.imported import import_openood

        return import_openood
    if name in ("Run", "read_run"):
        from oodbench.results.run import Run, read_run

        return {"Run": Run, "read_run": read_run}[name]
    if name in ("Guard", "load_guard"):
        from oodbench.guard.guard import Guard, load_guard

        return {"Guard": Guard, "load_guard": load_guard}[name]
    raise AttributeError(f"module 'oodbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return the names that the package offers, for completion."""
    return sorted({*globals(), *__all__})
