"""Read source code: what of it determines results, and what it imports."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceCode:
    """What counts of a piece of source code.

    Attributes:
        digest: SHA-256 of its syntax. Comments, docstrings, layout and the ``info`` of classes do
            not count, so that improving them makes nothing stale.
        imports: what it imports, in functions too but not for type checking alone; relative names
            begin with dots. ``from a import b`` gives ``a`` and ``a.b``, which may be a module.
    """

    digest: str
    imports: frozenset[str]


def read_source(path: Path) -> SourceCode:
    """Read a file of source code, again only if it was changed in the meantime."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@functools.cache
def _read(path: Path, modified: int, size: int) -> SourceCode:  # noqa: ARG001 (when to read again)
    return parse_source(path.read_text(encoding="utf-8"))


def parse_source(source: str) -> SourceCode:
    """Return what counts of source code, which may be indented, as a class in a function is."""
    tree = ast.parse(inspect.cleandoc("\n" + source) if source[:1].isspace() else source)
    imports = frozenset(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            in_class = isinstance(node, ast.ClassDef)
            node.body = [each for each in node.body if not _is_prose(each, in_class=in_class)]
    return SourceCode(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports)


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        yield origin
        joint = "." if node.module else ""
        yield from (f"{origin}{joint}{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
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
