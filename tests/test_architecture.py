"""Who may import whom, and that a new plugin folder needs no line besides its entry point."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.identity.sourcecode import read_source
from oodbench.registry.scaffold import FILES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the harness and of a plugin, which tests may change."""
    kept = shutil.ignore_patterns("__pycache__")
    for folder in ("oodbench", "plugins/template", "plugins/oodbench_shortcuts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=kept)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    return tmp_path


def add_plugin(checkout: Path, source: str, module: str = "__init__") -> None:
    path = checkout / "plugins" / "oodbench_new" / f"{module}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)


def check_imports(checkout: Path) -> str:
    """Return what the check of imports says; "" if it finds nothing."""
    pytest.importorskip("importlinter")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert "Plugins import the contracts" in done.stdout, done.stderr
    return done.stdout if done.returncode else ""


def test_a_plugin_may_import_the_contracts(checkout: Path) -> None:
    add_plugin(checkout, "from oodbench.contracts import Detector")
    assert check_imports(checkout) == ""


@pytest.mark.parametrize(
    "module", ["oodbench.identity.keys", "oodbench.contracts.data", "oodbench"]
)
def test_a_plugin_that_imports_anything_else_fails_the_check(checkout: Path, module: str) -> None:
    add_plugin(checkout, f"def late():\n    from {module} import run", module="within")
    assert f"plugins.oodbench_new.within -> {module}" in check_imports(checkout)


def test_a_plugin_imports_the_conformance_kit_in_its_tests_alone(checkout: Path) -> None:
    add_plugin(checkout, "import oodbench.testing")
    assert "plugins.oodbench_new -> oodbench.testing" in check_imports(checkout)


def test_the_harness_imports_no_plugin() -> None:
    modules = (ROOT / "oodbench").rglob("*.py")
    imports = set().union(*(read_source(path).imports for path in modules))
    assert not [name for name in imports if name.startswith("oodbench_")]


def test_a_new_plugin_folder_and_its_files_are_part_of_the_wheel(checkout: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    add_plugin(checkout, "")
    (checkout / "plugins" / "oodbench_new" / "weights.json").write_text("{}")
    (checkout / "benchmarks" / "speed").mkdir(parents=True)
    (checkout / "benchmarks" / "new.toml").write_text("")
    (checkout / "benchmarks" / "speed" / "measure.py").write_text("")
    builder = wheel.WheelBuilder(str(checkout))
    found = {file.distribution_path for file in builder.recurse_included_files()}
    assert {"oodbench_new/__init__.py", "oodbench_new/weights.json"} <= found
    assert {"oodbench/identity/keys.py", "oodbench/py.typed"} <= found
    assert "oodbench_benchmarks/new.toml" in found
    assert {f"oodbench/template/{file}" for file in FILES} <= found
    tops = {name.partition("/")[0] for name in found}
    assert tops == {"oodbench", "oodbench_new", "oodbench_shortcuts", "oodbench_benchmarks"}
