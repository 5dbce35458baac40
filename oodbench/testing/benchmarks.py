"""Checks of a benchmark definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oodbench.contracts import Benchmark
from oodbench.registry.benchmarks import load_benchmark
from oodbench.testing.common import NAME, Step


class BenchmarkSubject:
    """A benchmark definition under test.

    Args:
        path: the TOML file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded: Step[Benchmark] = Step("reading the file", lambda: load_benchmark(path))


def check_file(subject: BenchmarkSubject) -> None:
    """Check that the file can be read and has the required keys and no unknown ones."""
    subject.loaded.run()


def check_name(subject: BenchmarkSubject) -> None:
    """Check that the name is valid and is that of the file."""
    benchmark = subject.loaded.result()
    assert NAME.fullmatch(benchmark.name), f"{benchmark.name!r} is not lower case with hyphens"
    assert benchmark.name == subject.path.stem, f"'{benchmark.name}' is in {subject.path.name}"
    assert benchmark.summary.strip(), "there is no summary"


def check_sets(subject: BenchmarkSubject) -> None:
    """Check that no OOD set is named twice, and that none is the ID set."""
    benchmark = subject.loaded.result()
    twice = {name for name in benchmark.ood if benchmark.ood.count(name) > 1}
    assert not twice, f"ood names {sorted(twice)} more than once"
    assert benchmark.id not in benchmark.ood, f"the ID set '{benchmark.id}' is among the OOD sets"


CHECKS: Sequence[Callable[[BenchmarkSubject], None]] = (check_file, check_name, check_sets)
