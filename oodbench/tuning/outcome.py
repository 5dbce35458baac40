"""The outcome of a search, and the benchmark definition written from it."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.contracts import Benchmark
from oodbench.errors import UserError

SHOWN = 0.01
"""The percentage points that tables show; smaller differences are invisible there."""


@dataclass(frozen=True)
class Tried:
    """Some settings of a detector, and their outcome.

    Attributes:
        settings: the parameters that are tuned.
        auroc: AUROC by what tables call the set of outliers; empty if it failed.
        error: why it failed; empty if it did not.
    """

    settings: Mapping[str, Any]
    auroc: Mapping[str, float]
    error: str = ""

    @property
    def text(self) -> str:
        """Return the settings as text."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())

    @property
    def mean(self) -> float:
        """Return the mean AUROC, which settings are chosen by; -1 if it failed."""
        return statistics.fmean(self.auroc.values()) if self.auroc else -1.0


@dataclass(frozen=True)
class Tuned:
    """The outcome of the search for one detector.

    Attributes:
        detector: its name.
        tried: the settings, those that a run takes without tuning first.
    """

    detector: str
    tried: Sequence[Tried]

    @property
    def default(self) -> Tried:
        """Return the settings of a run without tuning."""
        return self.tried[0]

    @property
    def best(self) -> Tried:
        """Return the settings with the largest mean AUROC; of equal ones the first."""
        return max(self.tried, key=lambda tried: tried.mean)

    @property
    def changed(self) -> dict[str, Any]:
        """Return the best settings that differ from those without tuning."""
        before = self.default.settings
        return {name: value for name, value in self.best.settings.items() if value != before[name]}

    def warnings(self) -> list[str]:
        """Return warnings about the search, one sentence each."""
        failed = [tried for tried in self.tried if tried.error]
        done = {tried.mean for tried in self.tried if not tried.error}
        found = []
        if failed:
            counts = f"{len(failed)} of {len(self.tried)} settings failed"
            found.append(f"{counts}, first {failed[0].text}: {failed[0].error}")
        if len(done) == 1:
            found.append("the search changed nothing: all settings give the same AUROC")
        elif done and not self.changed:
            found.append(
                "the search changed nothing: the default is the best of the tried settings"
            )
        elif done and self.default.auroc and 100 * (self.best.mean - self.default.mean) < SHOWN:
            found.append(f"the best setting improves on the default by less than {SHOWN} points")
        return found


def tuned_benchmark(
    benchmark: Benchmark, asked: Mapping[str, Mapping[str, Any]], found: Sequence[Tuned]
) -> Benchmark:
    """Return a benchmark with the best settings as parameters.

    Args:
        benchmark: what was tuned for.
        asked: further parameters, by plugin name.
        found: what was tuned.
    """
    parameters = {name: dict(values) for name, values in benchmark.parameters.items()}
    changes = [*asked.items(), *((tuned.detector, tuned.changed) for tuned in found)]
    for name, values in changes:
        if values:
            parameters.setdefault(name, {}).update(values)
    return dataclasses.replace(benchmark, parameters=parameters)


def write_benchmark(benchmark: Benchmark, comments: Sequence[str], path: Path) -> None:
    """Write a benchmark definition as TOML, without the keys that have their default.

    Args:
        benchmark: the definition.
        comments: lines to begin with.
        path: the file.

    Raises:
        UserError: if it cannot be written.
    """
    import tomli_w

    default = Benchmark(name="", id="", ood=(), classifier="")
    content = {
        field.name: _without_none(getattr(benchmark, field.name))
        for field in dataclasses.fields(benchmark)
        if getattr(benchmark, field.name) != getattr(default, field.name)
    }
    lines = [f"# {line}" for comment in comments for line in comment.splitlines()]
    text = "\n".join([*lines, "", tomli_w.dumps(content)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror}") from error


def _without_none(value: Any) -> Any:
    """Return a value in which a text stands for None, which TOML does not have."""
    if isinstance(value, Mapping):
        return {name: _without_none(item) for name, item in value.items()}
    return "none" if value is None else value
