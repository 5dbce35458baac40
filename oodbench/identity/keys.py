"""Content keys: the hash of everything that determines the output of a job."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import linecache
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points, packages_distributions, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any, NamedTuple

from oodbench.contracts import GROUP, Classifier, Dataset, DerivedClassifier, Trainable, parameters
from oodbench.identity.sourcecode import HARNESS, SourceCode, parse_source, read_source

UNCOUNTED = frozenset({"oodbench", "torch", "numpy", *sys.stdlib_module_names})
"""Packages that count in no plugin's key: plugins mean the same with any version of them."""


def digest(content: Any) -> str:
    """Return the SHA-256 of a JSON-like value, independent of the order of its keys.

    Raises:
        TypeError: if the value holds anything but mappings, sequences, text and numbers.
    """
    text = json.dumps(plain(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; sets become sorted lists, paths and infinities text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be part of a key: {value!r}")


class Identified(ABC):
    """Something besides plugins and plain values that can be part of a key."""

    @abstractmethod
    def identity(self) -> Any:
        """Return the identity, a JSON-like value."""


def identify(value: object) -> Any:
    """Return the identity of any value of a job's arguments, a JSON-like value.

    Raises:
        TypeError: if it has nothing to identify it by.
        PluginError: if it is a plugin that did not store its parameters.
    """
    if isinstance(value, Identified):
        return value.identity()
    if isinstance(value, Trainable | Dataset | Classifier):
        return plugin_key(value)
    if isinstance(value, list | tuple):
        return [identify(each) for each in value]
    return plain(value)


def plugin_key(plugin: object) -> dict[str, Any]:
    """Return the identity of a plugin object: its class, parameters, code and imports.

    A classifier that has the network of another one is identified with that.

    Where the class lies is no part of it: neither the names of modules nor those of packages.

    The code is that of the module or package of the class, and of base classes elsewhere but in
    libraries. Of libraries that it imports, itself or by way of its own package, the versions
    count: a new pytorch-ood may score differently. Those of torch and NumPy do not, nor those of
    Python and oodbench: they change digits at most, and would make every trained network stale.

    Raises:
        TypeError: if the class, or a parameter, has nothing to identify it by.
        PluginError: if the object did not store its parameters.
    """
    cls = type(plugin)
    found = list(_read(cls))
    key = {
        "class": cls.__qualname__,
        "parameters": parameters(plugin),
        "code": sorted({code for code, _ in found}),
        "versions": _versions({package for _, packages in found for package in packages}),
    }
    if isinstance(plugin, DerivedClassifier):
        key["base"] = identify(plugin.base)
    return key


def _digest_files(module: str, files: Mapping[str, Path]) -> str:
    """Return the digest of a module's code, and of that of its neighbours in any order."""
    codes = {name: read_source(path, _top(module)).digest for name, path in files.items()}
    return digest([codes.pop(module), sorted(codes.values())])


def _files_of(module: str) -> dict[str, Path]:
    """Return the files whose code counts with a module, by the names of their modules.

    They are its own and, in a package, those of its neighbours but for the folder ``figures``,
    which draws what was computed. A module of the harness counts alone.
    """
    if module == "__main__":
        return {}
    spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    if spec is None or not (spec.origin or "").endswith(".py"):
        return {}
    origin = Path(str(spec.origin))
    package = spec.name if spec.submodule_search_locations is not None else spec.parent
    if not package or _top(package) == HARNESS:
        return {module: origin}
    files = {}
    for path in sorted(origin.parent.rglob("*.py")):
        parts = path.relative_to(origin.parent).with_suffix("").parts
        if "figures" not in parts:
            name = parts[:-1] if parts[-1] == "__init__" else parts
            files[".".join([package, *name])] = path
    return files


def _top(module: str) -> str:
    return module.partition(".")[0]


def _read(cls: type) -> Iterator[tuple[str, set[str]]]:
    """Yield the digest of the code of a class, and the packages that it imports; then of its bases.

    Of a base class from a library the version counts, since its subclass imports it.
    """
    libraries = _installed().libraries | UNCOUNTED
    read = set()
    for each in cls.__mro__:
        module = each.__module__
        if each is not cls and (_top(module) in libraries or module in read):
            continue
        files = _files_of(module)
        if files:
            read.add(module)
            yield _digest_files(module, files), _packages(module, files)
        elif each is cls or module == "__main__":
            source = _source_of(each)
            yield source.digest, {_top(name) for name in source.imports}


def _source_of(cls: type) -> SourceCode:
    """Return the code of a class that was not imported: of its script, or of its notebook cell."""
    try:
        source, file = inspect.getsource(cls), Path(inspect.getfile(cls))
    except (OSError, TypeError) as error:
        # Jupyter names no file for the classes of a notebook, but one cell for each function.
        functions = filter(inspect.isfunction, vars(cls).values())
        cells = ("".join(linecache.getlines(each.__code__.co_filename)) for each in functions)
        cell = next(filter(None, cells), "")
        if not cell:
            raise TypeError(
                f"{cls.__name__} has no source code to identify it by; define it in a file"
            ) from error
        return parse_source(cell)
    return read_source(file) if file.is_file() else parse_source(source)


def _packages(module: str, files: Mapping[str, Path]) -> set[str]:
    """Return the packages that a module imports, itself or by way of its neighbours.

    Args:
        module: name of the module.
        files: its own file and those of its neighbours, by name.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in files:
            parent = name if files[name].name == "__init__.py" else name.rpartition(".")[0]
            imports = read_source(files[name], _top(module)).imports
            waiting += [resolve_name(each, parent) for each in imports]
    return {_top(name) for name in found} - {_top(module)}


def _versions(packages: set[str]) -> dict[str, str]:
    """Return the versions of the distributions that packages were installed by."""
    distributions = _installed().distributions
    names = {name for package in packages - UNCOUNTED for name in distributions.get(package, ())}
    return {name: version(name) for name in sorted(names - {"oodbench"})}


class _Installed(NamedTuple):
    """What is installed.

    Attributes:
        distributions: the names of the distributions that brought a package, by its name.
        libraries: the packages of distributions without plugins.
    """

    distributions: Mapping[str, list[str]]
    libraries: frozenset[str]


def _installed() -> _Installed:
    places = (Path(place) for place in sys.path)
    return _look(tuple((place, place.stat().st_mtime_ns) for place in places if place.exists()))


@functools.lru_cache(maxsize=1)
def _look(state: object) -> _Installed:  # noqa: ARG001 (when to look again)
    found = packages_distributions()
    plugins = {point.dist.name for point in entry_points(group=GROUP) if point.dist}
    libraries = (package for package, names in found.items() if plugins.isdisjoint(names))
    return _Installed(found, frozenset(libraries))
