"""The map of the repository in CONTRIBUTING.md names every room.

``python tests/test_contributing.py`` draws the map anew from the docstrings of modules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MAP = re.compile(r"<!-- map -->\n.*?<!-- end of map -->\n", re.DOTALL)
FOLDERS = {
    "plugins/template/": "A complete detector in its own package, to copy.",
    "benchmarks/": "Benchmark definitions; in `speed/`, measurements of oodbench itself; "
    "`certify.py` compares detectors with those of other libraries.",
    "docs/": "The documentation site: tasks, guides to plugins, measures, reference.",
    "results/": "Kept runs, and figures published elsewhere.",
    "tests/": "Tests, in folders like those of `oodbench/` and `plugins/`.",
}
"""Folders that are not Python packages, and what they hold."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every package and top-level module of oodbench and its plugins, and its source."""
    for parent in ("oodbench", "plugins"):
        for path in sorted((ROOT / parent).iterdir()):
            name = path.relative_to(ROOT).as_posix()
            if (path / "__init__.py").is_file():
                yield f"{name}/", path / "__init__.py"
            elif path.suffix == ".py" and path.stem != "__init__":
                yield name, path


def drawn() -> str:
    """Return the map: a row for each module with the first line of its docstring."""
    rows = {name: _summary(source) for name, source in modules()} | FOLDERS
    lines = [f"| `{name}` | {what} |" for name, what in rows.items()]
    table = "\n".join(["| where | what |", "| --- | --- |", *lines])
    return f"<!-- map -->\n{table}\n<!-- end of map -->\n"


def _summary(source: Path) -> str:
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def test_every_folder_and_module_is_on_the_map() -> None:
    (found,) = MAP.findall(CONTRIBUTING.read_text(encoding="utf-8"))
    missing = [name for name in [*dict(modules()), *FOLDERS] if f"| `{name}` |" not in found]
    assert missing == [], "draw the map anew: python tests/test_contributing.py"


def test_everything_on_the_map_is_there() -> None:
    (found,) = MAP.findall(CONTRIBUTING.read_text(encoding="utf-8"))
    names = re.findall(r"^\| `(.+?)` \|", found, re.MULTILINE)
    assert [name for name in names if not (ROOT / name).exists()] == []


if __name__ == "__main__":
    text = CONTRIBUTING.read_text(encoding="utf-8")
    CONTRIBUTING.write_text(MAP.sub(lambda _: drawn(), text), encoding="utf-8")
