"""Plugins by name, and objects made from their parameters."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from oodbench.contracts import Benchmark, Classifier, Dataset, Detector, Figure, Shaping
from oodbench.contracts.info import NAME
from oodbench.errors import InvalidParameter, PluginError, UnknownName, UserError, describe
from oodbench.identity.pretrained import Weights, read_weights
from oodbench.registry.benchmarks import load_benchmark
from oodbench.registry.composition import PLUS, compose, parts_of
from oodbench.registry.isolation import isolated
from oodbench.registry.loading import Failure, Plugin, Plugins
from oodbench.store.validation import BITS

T = TypeVar("T")
NamesT = TypeVar("NamesT", bound="Names[Any]")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered class or benchmark.

    Attributes:
        name: the name it is asked for by.
        kind: ``"detector"``, ``"dataset"``, ``"classifier"``, ``"figure"`` or ``"benchmark"``.
        plugin: where it comes from.
        target: the class; for a benchmark the `Benchmark`.
        given: parameters that the name asked for says, after a slash.
    """

    name: str
    kind: str
    plugin: Plugin
    target: Any
    given: Mapping[str, str] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """Return the parameters of the class with their defaults."""
        signature = inspect.signature(self.target)
        return {name: parameter.default for name, parameter in signature.parameters.items()}

    def create(self, **parameters: Any) -> T:
        """Return a new object of the class.

        Text is converted to the annotated type of its parameter, as it comes from a command line.

        Raises:
            UnknownName: if there is no such parameter.
            InvalidParameter: if a value does not fit the parameter's type, or is refused.
            PluginError: if the class cannot be made with its defaults.
        """
        known = self.defaults()
        parameters |= self.given
        for name in parameters:
            if name not in known:
                raise UnknownName(f"parameter of {self.kind} {self.name}:", name, known)
        values = {
            name: convert(f"{self.name}.{name}", value, _annotation(self.target, name, known[name]))
            for name, value in parameters.items()
        }
        try:
            with isolated():
                return typing.cast(T, self.target(**values))
        except (ValueError, TypeError) as error:
            raised = InvalidParameter if values else PluginError
            raise raised(f"{self.kind} {self.name}: {error}") from error


def _annotation(cls: Any, name: str, default: Any) -> Any:
    try:
        return typing.get_type_hints(cls.__init__)[name]
    except (NameError, KeyError):
        return type(default)


def convert(name: str, value: Any, annotation: Any) -> Any:
    """Return a value as the type of a parameter; the text "none" is None where that fits.

    Raises:
        InvalidParameter: if it cannot be read as that type.
    """
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(annotation)
        if isinstance(value, str) and value.lower() == "none":
            with suppress(ValidationError):
                return adapter.validate_python(None)
        found = adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise InvalidParameter(f"{name} = {value!r}: {problem[0].lower()}{problem[1:]}") from error
    except PydanticUserError:  # a type that pydantic knows nothing about is passed on as it is
        return value
    if isinstance(found, int) and found.bit_length() > BITS:  # no run.json could be read with it
        raise InvalidParameter(f"{name} has more than 64 bits")
    return found


class Names(Mapping[str, Entry[T]]):
    """The registered names of one kind; the error for an unknown name suggests a similar one.

    A class with an ``argument``, the name of a parameter, is also found by its name, a slash and
    the value of that parameter.
    """

    def __init__(self, kind: str, failures: list[Failure]) -> None:
        self._kind = kind
        self._failures = failures
        self._entries: dict[str, list[Entry[T]]] = {}

    def add(self, entry: Entry[T]) -> None:
        """Register an entry; a name that is taken makes both ambiguous."""
        others = self._entries.setdefault(entry.name, [])
        others.append(entry)
        if len(others) > 1:
            self._failures.append(Failure(entry.plugin, self._ambiguity(entry.name)))

    def _ambiguity(self, name: str) -> str:
        sources = " and ".join(
            f"{entry.plugin.distribution} ({entry.plugin.module})" for entry in self._entries[name]
        )
        return f"{self._kind} '{name}' is registered by both {sources}; uninstall one of them"

    def __getitem__(self, name: str) -> Entry[T]:
        entries = self._entries.get(name)
        if entries is None and (family := self._family(name)):
            _, _, value = name.partition("/")
            return replace(family, given={family.target.argument: value})
        if entries is None:
            lost = [failure.plugin.name for failure in self._failures]
            hint = (
                f"Plugins that failed to load: {', '.join(lost)} (see oodbench list)."
                if lost
                else ""
            )
            raise UnknownName(self._kind, name, self._entries, hint)
        if len(entries) > 1:
            raise UserError(self._ambiguity(name))
        return entries[0]

    def _family(self, name: str) -> Entry[T] | None:
        """Return the entry that takes what follows the slash in a name, if there is one."""
        family, _, value = name.partition("/")
        if not value or family not in self._entries:
            return None
        entry = self[family]
        return entry if getattr(entry.target, "argument", "") else None

    def __contains__(self, name: object) -> bool:
        return name in self._entries or self._family(str(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for name, found in self._entries.items() if len(found) == 1))

    def __len__(self) -> int:
        return sum(len(found) == 1 for found in self._entries.values())


class DetectorNames(Names[Detector]):
    """The registered detectors, and compositions of them by names such as ``react+knn``."""

    def __getitem__(self, name: str) -> Entry[Detector]:
        if len(parts := parts_of(name)) == 1:
            return super().__getitem__(name)
        if "" in parts:
            raise UserError(f"'{name}' lacks a name beside '{PLUS}'")
        members = [super(DetectorNames, self).__getitem__(part) for part in parts]
        composed = compose([member.target for member in members], self.shapings())
        distributions = dict.fromkeys(member.plugin.distribution for member in members)
        plugin = replace(members[-1].plugin, distribution=", ".join(distributions))
        return Entry(name, "detector", plugin, composed)

    def __contains__(self, name: object) -> bool:
        return all(super(DetectorNames, self).__contains__(part) for part in parts_of(str(name)))

    def shapings(self) -> list[str]:
        """Return the names of the detectors that may precede others in a composition."""
        return [name for name, entry in self.items() if issubclass(entry.target, Shaping)]


@dataclass(frozen=True)
class Registry:
    """All registered classes and benchmarks of the installed plugins.

    Attributes:
        detectors: detector classes by name.
        datasets: data set classes by name.
        classifiers: classifier classes by name.
        figures: figure classes by name.
        benchmarks: benchmark definitions by name.
        weights: shipped weights, by the key of what was trained; on whatever images.
        failures: plugins that could not be loaded, and names that are registered twice.
        absent: names of detectors that plugins know of and cannot bring, with the reason.
    """

    detectors: DetectorNames
    datasets: Names[Dataset]
    classifiers: Names[Classifier]
    figures: Names[Figure]
    benchmarks: Names[Benchmark]
    weights: Mapping[str, tuple[Weights, ...]]
    failures: list[Failure]
    absent: dict[str, str]

    def why_missing(self, name: str) -> str:
        """Return why a name that a plugin should have registered is missing; empty otherwise.

        A plugin that cannot be imported cannot say what it would have brought. It is suspect if its
        entry point, its module or a string in its source has the name.
        """
        for part in parts_of(name):
            if part in self.absent:
                return self.absent[part]
            for failure in self.failures:
                if failure.plugin.brings(part):
                    return f"plugin '{failure.plugin.name}' failed to load: {failure.reason}"
        return ""


def load_registry() -> Registry:
    """Load every plugin of the environment."""
    plugins = Plugins()
    failures = plugins.failures

    def gather(
        names: NamesT, kind: str, hook: str, read: Callable[[Any], tuple[str, Any]]
    ) -> NamesT:
        for plugin, (name, target) in plugins.collect(hook, read):
            names.add(Entry(name, kind, plugin, target))
        return names

    def reader_of(base: type) -> Callable[[Any], tuple[str, Any]]:
        def read_class(item: Any) -> tuple[str, Any]:
            if not (isinstance(item, type) and issubclass(item, base)):
                raise PluginError(f"{getattr(item, '__name__', item)} is no {base.__name__}")
            name = item.info.name  # type: ignore[attr-defined]
            if not NAME.fullmatch(name):
                raise PluginError(
                    f"'{name}' is not a valid name: use lower case, digits and hyphens"
                )
            return name, item

        return read_class

    def gather_weights() -> dict[str, tuple[Weights, ...]]:
        found: dict[str, tuple[Weights, ...]] = {}
        for plugin, path in plugins.collect("oodbench_weights"):
            try:
                key, weights = read_weights(Path(path))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                failures.append(Failure(plugin, f"weights in {path}: {describe(error)}"))
            else:
                found[key] = (*found.get(key, ()), weights)
        return found

    def gather_absent() -> dict[str, str]:
        found = {}
        for plugin, item in plugins.collect("oodbench_absent"):
            try:
                name, reason = item
            except (TypeError, ValueError) as error:
                failures.append(Failure(plugin, f"oodbench_absent: {describe(error)}"))
            else:
                found[str(name)] = str(reason)
        return found

    def read_benchmark(path: str | Path) -> tuple[str, Any]:
        benchmark = load_benchmark(Path(path))
        return benchmark.name, benchmark

    return Registry(
        detectors=gather(
            DetectorNames("detector", failures),
            "detector",
            "oodbench_detectors",
            reader_of(Detector),
        ),
        datasets=gather(
            Names[Dataset]("data set", failures), "dataset", "oodbench_datasets", reader_of(Dataset)
        ),
        classifiers=gather(
            Names[Classifier]("classifier", failures),
            "classifier",
            "oodbench_classifiers",
            reader_of(Classifier),
        ),
        figures=gather(
            Names[Figure]("figure", failures), "figure", "oodbench_figures", reader_of(Figure)
        ),
        benchmarks=gather(
            Names[Benchmark]("benchmark", failures),
            "benchmark",
            "oodbench_benchmarks",
            read_benchmark,
        ),
        weights=gather_weights(),
        failures=failures,
        absent=gather_absent(),
    )
