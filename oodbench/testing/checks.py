"""The checks that a plugin has to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.contracts import Classifier, Dataset, Detector
from oodbench.registry.isolation import isolated
from oodbench.testing import benchmarks, classifiers, datasets, detectors
from oodbench.testing.common import label
from oodbench.testing.subject import DetectorSubject

if TYPE_CHECKING:
    import pytest

    Plugin = Detector | Dataset | Classifier | str | Path


@dataclass(frozen=True)
class Check:
    """One check of one plugin. Calling it raises AssertionError, or whatever the plugin raised.

    A check that does not apply, or that cannot be done here, raises `unittest.SkipTest`.

    Attributes:
        plugin: the plugin's name, with the parameters that are not at their defaults.
        name: what is checked, such as ``"scores_repeat"``.
        purpose: what is checked, such as ``"the object can be sent to another process"``.
        run: does it.
    """

    plugin: str
    name: str
    purpose: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Do the check; what the plugin changes in this process is put back."""
        with isolated():
            self.run()

    def __str__(self) -> str:
        return f"{self.plugin}-{self.name}"


def checks(plugin: Plugin) -> Iterator[Check]:
    """Yield every check that applies to a plugin.

    The checks share work: a detector is fitted once for most of them.

    Args:
        plugin: a detector, data set or classifier, constructed with the parameters to test it
            with; or the path of a benchmark definition.

    Raises:
        TypeError: if it is none of these.
    """
    if isinstance(plugin, Detector):
        yield from _bound(label(plugin), detectors.CHECKS, DetectorSubject(plugin))
    elif isinstance(plugin, Dataset):
        yield from _bound(label(plugin), datasets.CHECKS, datasets.DatasetSubject(plugin))
    elif isinstance(plugin, Classifier):
        yield from _bound(label(plugin), classifiers.CHECKS, classifiers.ClassifierSubject(plugin))
    elif isinstance(plugin, str | Path):
        path = Path(plugin)
        yield from _bound(path.stem, benchmarks.CHECKS, benchmarks.BenchmarkSubject(path))
    else:
        raise TypeError(
            f"{plugin!r} is not a detector, data set, classifier or path of a benchmark"
        )


def _bound(
    plugin: str, functions: Sequence[Callable[[Any], None]], subject: object
) -> Iterator[Check]:
    for function in functions:
        yield Check(
            plugin=plugin,
            name=function.__name__.removeprefix("check_"),
            purpose=_purpose_of(function),
            run=partial(function, subject),
        )


def _purpose_of(function: Callable[[Any], None]) -> str:
    """Return what a function checks, from the first line of its docstring, in plain text."""
    line = (function.__doc__ or "").partition("\n")[0]
    return line.removeprefix("Check that ").removesuffix(".").replace("`", "")


def parametrize_with_checks(plugins: Iterable[Plugin]) -> pytest.MarkDecorator:
    """Return a pytest decorator that runs a test once for every check of every plugin.

    ::

        @parametrize_with_checks([MyDetector(), MyDetector(temperature=10.0)])
        def test_contract(check):
            check()

    Args:
        plugins: as for `checks`.
    """
    import pytest

    every = [check for plugin in plugins for check in checks(plugin)]
    return pytest.mark.parametrize("check", every, ids=str)
