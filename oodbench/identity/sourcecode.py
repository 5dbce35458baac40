"""Source code: the part that determines results, and its imports."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HARNESS = "oodbench"
"""The package of the harness."""


@dataclass(frozen=True)
class SourceCode:
    """What counts of a piece of source code.

    Attributes:
        digest: SHA-256 of its syntax. Comments, docstrings, layout, the ``info`` of classes and
            what errors say do not count, so that improving them makes nothing stale. Of imports
            from the harness and from its own package the names count and not the modules, so that
            files can be moved; imports for type checking alone do not count.
        imports: what it imports, in functions too but not for type checking alone; relative names
            begin with dots. ``from a import b`` gives ``a`` and ``a.b``, which may be a module.
    """

    digest: str
    imports: frozenset[str]


def read_source(path: Path, home: str = HARNESS) -> SourceCode:
    """Read a file of source code, again only if it was changed in the meantime.

    Args:
        path: of the file.
        home: the top-level package that it belongs to.
    """
    status = path.stat()
    return _read(path, home, status.st_mtime_ns, status.st_size)


@functools.cache
def _read(path: Path, home: str, modified: int, size: int) -> SourceCode:  # noqa: ARG001 (when to read again)
    return parse_source(path.read_text(encoding="utf-8"), home)


def parse_source(source: str, home: str = HARNESS) -> SourceCode:
    """Return what counts of source code, which may be indented, as a class in a function is."""
    tree = ast.parse(inspect.cleandoc("\n" + source) if source[:1].isspace() else source)
    imports = frozenset(_imports(tree))
    reduced = _Reduced({HARNESS, home})
    content = repr((_structure(reduced.visit(tree)), sorted(reduced.names)))
    return SourceCode(hashlib.sha256(content.encode()).hexdigest(), imports)


class _Reduced(ast.NodeTransformer):
    """Takes out of a syntax tree what does not count.

    Args:
        homes: packages whose imports count by name alone.

    Attributes:
        names: those names, and what the code calls them.
    """

    def __init__(self, homes: set[str]) -> None:
        self.homes = homes
        self.names: set[str] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if not node.level and (node.module or "").partition(".")[0] not in self.homes:
            return node
        self.names |= {f"{alias.name} as {alias.asname or alias.name}" for alias in node.names}
        return None

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        node.names = [each for each in node.names if each.name.partition(".")[0] not in self.homes]
        return node if node.names else None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        if not _is_for_types(node):
            return self.generic_visit(node)
        return [self.visit(each) for each in node.orelse]

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            in_class = isinstance(node, ast.ClassDef)
            node.body = [each for each in node.body if not _is_prose(each, in_class=in_class)]
        return super().generic_visit(node)


def _structure(node: Any) -> Any:
    """Return a syntax tree as nested tuples, the same in each version of Python.

    Versions differ in the fields that a node has where these are empty.
    """
    if isinstance(node, list):
        return [_structure(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return (type(node).__name__, *((name, _structure(value)) for name, value in fields))


def _is_for_types(node: ast.If) -> bool:
    return ast.unparse(node.test).endswith("TYPE_CHECKING")


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        yield origin
        joint = "." if node.module else ""
        yield from (f"{origin}{joint}{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and _is_for_types(node):
        for statement in node.orelse:
            yield from _imports(statement)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def _is_prose(statement: ast.stmt, *, in_class: bool) -> bool:
    """Return whether a statement only says something: a docstring, or the ``info`` of a class."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return in_class and any(
        isinstance(target, ast.Name) and target.id == "info" for target in targets
    )
