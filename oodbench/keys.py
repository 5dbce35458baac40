"""Make content keys: the hash of everything that determines what a job puts out."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import math
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oodbench.contracts import parameters


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


def plugin_key(plugin: object) -> dict[str, Any]:
    """Return what identifies a plugin object: its class, its parameters and its code."""
    cls = type(plugin)
    return {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "parameters": parameters(plugin),
        "code": code_digest(cls.__module__) or _class_digest(cls),
    }


def _class_digest(cls: type) -> str:
    """Return the digest of a class that was not imported from a file, as in a notebook."""
    try:
        return _source_digest(inspect.getsource(cls))
    except (OSError, TypeError) as error:
        raise TypeError(
            f"{cls.__name__} has no source code to identify it by; define it in a file"
        ) from error


@functools.cache
def code_digest(module: str) -> str:
    """Return the digest of a module's code, and of its neighbours if it is part of a package.

    Comments, docstrings, layout and the ``info`` of plugins do not count, so that improving them
    makes nothing stale; nor does a package's folder ``figures``, which draws what was computed.
    A module of the harness counts alone. Empty for a module without a file.
    """
    if module == "__main__":
        return ""
    spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    origin = Path(spec.origin)
    package = spec.name if spec.submodule_search_locations is not None else spec.parent
    alone = not package or package.partition(".")[0] == "oodbench"
    paths = [origin] if alone else _modules_in(origin.parent)
    return digest(
        {
            str(path.relative_to(origin.parent)): _source_digest(path.read_text(encoding="utf-8"))
            for path in paths
        }
    )


def _modules_in(package: Path) -> list[Path]:
    """Return the modules of a package, its figures left out."""
    modules = sorted(package.rglob("*.py"))
    return [path for path in modules if "figures" not in path.relative_to(package).parts]


def _source_digest(source: str) -> str:
    tree = ast.parse(inspect.cleandoc("\n" + source) if source[:1].isspace() else source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            in_class = isinstance(node, ast.ClassDef)
            node.body = [each for each in node.body if not _is_prose(each, in_class=in_class)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_prose(statement: ast.stmt, *, in_class: bool) -> bool:
    """Return whether a statement only says something: a docstring, or the ``info`` of a class."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return in_class and any(
        isinstance(target, ast.Name) and target.id == "info" for target in targets
    )
