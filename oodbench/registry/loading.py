"""Discovery of installed plugins; one that fails does not affect the others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pluggy

from oodbench.contracts import GROUP
from oodbench.errors import PluginError, describe
from oodbench.registry import hookspecs
from oodbench.registry.isolation import isolated

DISTRIBUTION = "oodbench"
"""The distribution that the project is installed by."""


@dataclass(frozen=True)
class Plugin:
    """One plugin module.

    Attributes:
        name: name of its entry point.
        distribution: the distribution that installed it, with version.
        module: name of the module.
    """

    name: str
    distribution: str
    module: str

    def brings(self, name: str) -> bool:
        """Return whether the plugin seems to register a name, without importing it."""
        if name in (self.name, self.module) or name.replace("-", "_") in self.module:
            return True
        try:
            spec = find_spec(self.module)
            source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        except (ImportError, OSError, ValueError):
            return False
        return f'"{name}"' in source or f"'{name}'" in source


@dataclass(frozen=True)
class Failure:
    """A plugin, or one of its hooks, that could not be loaded.

    Attributes:
        plugin: the plugin.
        reason: one line, such as ``"ModuleNotFoundError: No module named 'foo' (foo.py:3)"``.
    """

    plugin: Plugin
    reason: str


@functools.cache
def _shipped_packages() -> frozenset[str]:
    """Return the packages of the built-in plugins."""
    points = entry_points(group=GROUP)
    own = {point.module for point in points if point.dist and point.dist.name == DISTRIBUTION}
    return frozenset({"oodbench", *(module.partition(".")[0] for module in own)})


def is_shipped(plugin: object) -> bool:
    """Return whether a plugin object's class is built in."""
    return type(plugin).__module__.partition(".")[0] in _shipped_packages()


class Plugins:
    """All plugins of the environment.

    Attributes:
        failures: what could not be loaded, and why.
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, Plugin] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            self._register(point)

    def _register(self, point: EntryPoint) -> None:
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
        plugin = Plugin(point.name, distribution, point.value)
        identity = f"{distribution}:{point.name}"
        if identity in self._plugins:
            return  # an environment may list one distribution twice
        try:
            with isolated():
                module = point.load()
                self._manager.register(module, name=identity)
                self._manager.check_pending()
            if not self._manager.get_hookcallers(module):
                raise PluginError("announces nothing; is @hookimpl missing?")
        except Exception as error:  # a third-party module may raise anything
            if self._manager.has_plugin(identity):
                self._manager.unregister(name=identity)
            self.failures.append(Failure(plugin, describe(error)))
        else:
            self._plugins[identity] = plugin

    def collect(
        self, hook: str, read: Callable[[Any], Any] = lambda item: item
    ) -> Iterator[tuple[Plugin, Any]]:
        """Yield what is read of each item that a plugin returns for a hook, with the plugin.

        Args:
            hook: name of a function in `oodbench.registry.hookspecs`.
            read: takes an item; those for which it raises an exception are left out.
        """
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            plugin = self._plugins[implementation.plugin_name]
            found: list[Any] = []
            try:
                with isolated():
                    for item in _items_of(implementation.function()):
                        try:
                            found.append(read(item))
                        except Exception as error:  # as above
                            self.failures.append(Failure(plugin, f"{hook}: {describe(error)}"))
            except Exception as error:  # as above
                self.failures.append(Failure(plugin, f"{hook}: {describe(error)}"))
            for item in found:
                yield plugin, item


def _items_of(returned: Any) -> list[Any]:
    """Return the items of what a hook returned.

    Raises:
        PluginError: if it is no sequence, but a class, a path or nothing.
    """
    if isinstance(returned, type | str) or not isinstance(returned, Iterable):
        shown = returned.__name__ if isinstance(returned, type) else repr(returned)
        raise PluginError(f"must return a sequence, such as a list of classes, not {shown}")
    return list(returned)
