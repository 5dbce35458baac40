"""Checks of every kind of plugin class, and work shared between checks."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from unittest import SkipTest

from oodbench.contracts import Info, Paper, parameters
from oodbench.identity.keys import digest
from oodbench.registry.composition import Composition, parts_of
from oodbench.registry.isolation import isolated

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What a registry name looks like."""


class Step(Generic[T]):
    """A computation that several checks build on, done once.

    One check is about the step itself and fails if the step does. The checks that only build on
    it are skipped then, so that one fault is reported by one check.

    Args:
        name: what the step does, as in "<name> fails".
        compute: does it; may raise anything.
    """

    def __init__(self, name: str, compute: Callable[[], T]) -> None:
        self._name = name
        self._compute = compute
        self._done = False
        self._result: T
        self._error: Exception | None = None

    def run(self) -> T:
        """Return the result, for the check that is about this step.

        Raises:
            Exception: whatever the computation raised.
        """
        if not self._done:
            self._done = True
            try:
                with isolated():
                    self._result = self._compute()
            except Exception as error:  # kept for every check that asks
                self._error = error
        if self._error is not None:
            raise self._error
        return self._result

    def result(self) -> T:
        """Return the result, for a check that builds on this step.

        Raises:
            SkipTest: if the computation failed.
        """
        try:
            return self.run()
        except SkipTest:
            raise
        except Exception as error:
            raise SkipTest(f"{self._name} failed, as another check reports") from error


def label(plugin: object) -> str:
    """Return the name of a plugin object with the parameters that differ from their defaults."""
    info = getattr(plugin, "info", None)
    name = str(info.name) if isinstance(info, Info) else type(plugin).__name__
    changed = [
        f"{key}={getattr(plugin, key)}"
        for key, parameter in inspect.signature(type(plugin)).parameters.items()
        if hasattr(plugin, key) and getattr(plugin, key) is not parameter.default
    ]
    return f"{name}({','.join(changed)})" if changed else name


def copy_of(plugin: T) -> T:
    """Return a new object of the same class with the same parameters, in its initial state."""
    return type(plugin)(**parameters(plugin))


class Subject:
    """A plugin object under test, with what several checks share.

    Args:
        plugin: constructed with the parameters to test it with; it is left as it is.
    """

    def __init__(self, plugin: object) -> None:
        self.plugin = plugin
        self.constructed = Step("the constructor", self._construct)

    def _construct(self) -> None:
        cls = type(self.plugin)
        digest(parameters(self.plugin))
        defaults = {name: item.default for name, item in inspect.signature(cls).parameters.items()}
        for name, default in defaults.items():
            assert default is not inspect.Parameter.empty, f"parameter '{name}' has no default"
        assert_stored(cls(), defaults)
        assert_stored(copy_of(self.plugin), parameters(self.plugin))


def check_constructor(subject: Subject) -> None:
    """Check that the constructor stores plain keyword-only parameters and does nothing else.

    They have to have defaults and to be text, numbers, lists or mappings, because what is kept
    in the store is found again by them.
    """
    subject.constructed.run()


def assert_stored(plugin: object, given: dict[str, Any]) -> None:
    """Check that parameters are stored on the object unchanged, and that nothing learned is."""
    for name, value in given.items():
        stored = getattr(plugin, name)
        assert stored is value, f"the constructor was given {name}={value!r} and stored {stored!r}"
    learned = [name for name in vars(plugin) if name.endswith("_") and not name.startswith("_")]
    assert not learned, f"the constructor sets {learned}, but that is what fit learns"


def check_info(subject: Subject) -> None:
    """Check that there are a valid name, a summary and a complete citation."""
    info = getattr(subject.plugin, "info", None)
    assert isinstance(info, Info), f"there is no attribute 'info' of type Info: {info!r}"
    names = parts_of(info.name) if isinstance(subject.plugin, Composition) else [info.name]
    assert all(NAME.fullmatch(name) for name in names), (
        f"info.name is {info.name!r}; use lower case, digits and hyphens"
    )
    assert info.summary.strip(), "info.summary is empty"
    assert "\n" not in info.summary, "info.summary is more than one line"
    assert isinstance(info.deviations, tuple), "info.deviations is not a tuple of sentences"
    if info.paper is not None:
        _assert_citable(info.paper)


def _assert_citable(paper: Paper) -> None:
    for name in ("title", "authors", "venue"):
        assert getattr(paper, name).strip(), f"info.paper.{name} is empty"
    assert 1900 < paper.year < 2100, f"info.paper.year is {paper.year}"
    assert paper.url.startswith(("https://", "http://")), f"info.paper.url is {paper.url!r}"


def check_pickling(subject: Subject) -> None:
    """Check that the object can be sent to another process."""
    subject.constructed.result()
    plugin = subject.plugin
    try:
        received = pickle.loads(pickle.dumps(plugin))  # noqa: S301, it was pickled just now
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"the object cannot be pickled: {error}") from error
    assert type(received) is type(plugin)
    assert parameters(received) == parameters(plugin), "parameters differ after pickling"


CHECKS: tuple[Callable[[Subject], None], ...] = (check_constructor, check_info, check_pickling)
"""The checks that plugin objects of every kind have to pass."""
