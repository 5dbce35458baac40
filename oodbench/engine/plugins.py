"""The plugins that jobs use, and their code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from oodbench.contracts import Classifier, Dataset, Trainable
from oodbench.identity.keys import digest, plugin_key
from oodbench.identity.stagecode import stage_code
from oodbench.images.sources import Source
from oodbench.plan.jobs import Job, Ref
from oodbench.registry.composition import Composition
from oodbench.registry.loading import is_shipped


def uses_shipped_alone(job: Job) -> bool:
    """Return whether all plugins of a job are built in."""
    return all(map(is_shipped, _plugins_of(job)))


def third_party_modules(jobs: Iterable[Job]) -> list[ModuleType]:
    """Return the modules and packages that define plugins of jobs and are not built in.

    What a script or notebook defines itself is in none: it is sent along with each job.
    """
    found = {
        type(plugin).__module__.partition(".")[0]
        for job in jobs
        for plugin in _plugins_of(job)
        if not is_shipped(plugin)
    }
    modules = (sys.modules[name] for name in sorted(found - {"__main__"}) if name in sys.modules)
    return [module for module in modules if getattr(module, "__file__", None)]


def codes_of(jobs: Iterable[Job]) -> dict[Ref, str]:
    """Return digests of this machine's code for jobs: of their stages and of built-in plugins.

    Other plugins are sent along with a job, and are the same on all machines.
    """
    code_of_stage = functools.cache(stage_code)
    known: dict[int, tuple[object, Any]] = {}  # with the object itself, so that its id stays

    def key_of(plugin: object) -> Any:
        if id(plugin) not in known:
            known[id(plugin)] = plugin, plugin_key(plugin)
        return known[id(plugin)][1]

    return {
        job.ref: digest(
            [
                code_of_stage(job.ref.stage),
                [*map(key_of, filter(is_shipped, _plugins_in(job.spec)))],
            ]
        )
        for job in jobs
    }


def _plugins_of(job: Job) -> Iterator[object]:
    yield from _plugins_in([each.spec for each in (job, *job.companions)])


def _plugins_in(value: object) -> Iterator[object]:
    """Yield the plugin objects in a value, and those that they or sources of images hold."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _plugins_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _plugins_in(each)
    elif isinstance(value, Trainable | Dataset | Classifier | Source):
        if not isinstance(value, Source):
            yield value
        if isinstance(value, Composition):
            yield from _plugins_in(value.made())
        yield from _plugins_in(vars(value))
