"""Keys are equal where results must be, and differ where they could."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oodbench.contracts import Detector, Info, PluginError
from oodbench.identity.keys import digest, identify, plugin_key

SOURCE = '''
"""A module."""
from typing import TYPE_CHECKING
from oodbench.contracts import Detector, Info

SCALE = 2

class Scaled(Detector):
    """Score."""
    info = Info(name="scaled", summary="Scaled.")

    def __init__(self, *, power=1, root="a"):
        if power != power:
            raise ValueError(f"{power}")
        self.power = power
        self.root = root

    def score(self, batch):
        """Return scores."""
        info = 4
        return SCALE * batch.inputs.mean((1, 2, 3)) + info  # grey
'''


class Plain(Detector):
    """Score by the number of images."""

    info = Info(name="plain", summary="Plain.")

    def score(self, batch):
        return batch.labels.double()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Write modules, import them anew, and return a new object of the class ``Scaled``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    seconds = itertools.count(1_700_000_000)  # for clocks that tick slower than these tests write

    def forget() -> None:
        for name in ("scaled", "base", "package", "package.scaled", "package.helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def write(source: str, *, module: str = "scaled", **neighbours: str) -> Detector:
        forget()
        folder = tmp_path / "/".join(module.split(".")[:-1])
        folder.mkdir(exist_ok=True)
        for name, text in {module.rpartition(".")[2]: source, **neighbours}.items():
            (folder / f"{name}.py").write_text(text)
            os.utime(folder / f"{name}.py", times=(0, next(seconds)))
        return importlib.import_module(module).Scaled()

    yield write
    forget()


def test_the_order_of_keys_does_not_count() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


def test_a_tuple_is_a_list_and_a_set_has_no_order() -> None:
    assert digest({"a": (1, 2), "b": {"x", "y"}}) == digest({"a": [1, 2], "b": {"y", "x"}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {"a": "None"}),
        ({"a": True}, {"a": 1}),
        ({"a": 0.1}, {"a": 0.1 + 1e-17 * 8}),
        (["ab", "c"], ["a", "bc"]),
    ],
)
def test_different_content_has_different_keys(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_a_key_does_not_depend_on_the_process() -> None:
    expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest({}) == expected


def test_objects_without_content_are_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be part of a key"):
        digest({"a": object()})
    with pytest.raises(TypeError, match="object cannot be part of a key"):
        identify(object())


def test_equal_plugins_have_equal_keys(written) -> None:
    first = plugin_key(written(SOURCE))
    assert plugin_key(written(SOURCE)) == first


def test_parameters_count(written) -> None:
    detector = written(SOURCE)
    assert plugin_key(type(detector)(power=2)) != plugin_key(detector)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # grey", "  # all channels and pixels"),
        ("  # grey", ""),
        ('"""Score."""', '"""Score by brightness.\n\n    At length.\n    """'),
        ('"""A module."""', ""),
        ("SCALE = 2", "SCALE   =   2\n\n"),
        ('summary="Scaled."', 'summary="Brightness.", deviations=("None.",)'),
        ('ValueError(f"{power}")', 'ValueError("the power must be finite")'),
        (
            "from oodbench.contracts import Detector",
            "from oodbench.contracts.detector import Detector",
        ),
        (
            "SCALE = 2",
            "if TYPE_CHECKING:\n    import ast\nSCALE = 2",
        ),
    ],
)
def test_what_determines_no_score_does_not_count(written, before: str, after: str) -> None:
    assert before in SOURCE
    key = plugin_key(written(SOURCE))
    assert plugin_key(written(SOURCE.replace(before, after))) == key


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ("info = 4", "info = 5"),
        ("power=1", "power=1.0"),
        (".mean(", ".amax("),
        ('root="a"', 'root="b"'),
        ("raise ValueError", "raise TypeError"),
        ("import Detector, Info", "import Detector, Info, Need"),
    ],
)
def test_code_counts(written, before: str, after: str) -> None:
    assert before in SOURCE
    key = plugin_key(written(SOURCE))
    assert plugin_key(written(SOURCE.replace(before, after))) != key


def test_the_code_of_neighbours_in_a_package_counts(written) -> None:
    def key(helper: str) -> dict:
        return plugin_key(written(SOURCE, module="package.scaled", __init__="", helper=helper))

    assert key("SCALE = 2") == key("SCALE = 2  # twice")
    assert key("SCALE = 2") != key("SCALE = 3")


def test_the_figures_of_a_package_do_not_count(written, tmp_path: Path) -> None:
    key = plugin_key(written(SOURCE, module="package.scaled", __init__=""))
    figures = tmp_path / "package" / "figures"
    figures.mkdir()
    (figures / "picture.py").write_text('COLOUR = "red"')
    assert plugin_key(written(SOURCE, module="package.scaled", __init__="")) == key


def test_the_code_of_other_modules_beside_a_single_one_does_not_count(written) -> None:
    key = plugin_key(written(SOURCE, other="x = 1"))
    assert plugin_key(written(SOURCE, other="x = 2")) == key


def test_where_a_module_lies_does_not_count(written, tmp_path: Path, monkeypatch) -> None:
    key = plugin_key(written(SOURCE))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "scaled.py").rename(elsewhere / "scaled.py")
    sys.modules.pop("scaled")
    monkeypatch.syspath_prepend(elsewhere)
    assert plugin_key(importlib.import_module("scaled").Scaled()) == key


def test_where_the_modules_of_a_package_lie_does_not_count(written) -> None:
    def key(helper: str) -> dict:
        source = f"from package.{helper} import double\n" + SOURCE
        made = written(source, module="package.scaled", __init__="", **{helper: "double = 2"})
        (Path(sys.modules["package"].__path__[0]) / f"{helper}.py").unlink()
        return plugin_key(made)

    assert key("helper") == key("halves")


def test_classes_of_one_name_in_two_modules_of_a_package_have_different_keys(written) -> None:
    other = SOURCE.replace("SCALE = 2", "SCALE = 3")
    made = written(SOURCE, module="package.scaled", __init__="", helper=other)
    twin = importlib.import_module("package.helper").Scaled()
    assert plugin_key(made) != plugin_key(twin)


def test_a_module_that_is_edited_and_reloaded_has_another_key(written, tmp_path: Path) -> None:
    before = plugin_key(written(SOURCE))
    (tmp_path / "scaled.py").write_text(SOURCE.replace("SCALE = 2", "SCALE = 3"))
    os.utime(tmp_path / "scaled.py", times=(0, 1_800_000_000))
    assert plugin_key(importlib.reload(sys.modules["scaled"]).Scaled()) != before


def test_the_code_of_a_base_class_elsewhere_counts(written) -> None:
    derived = SOURCE.replace("(Detector)", "(Base)") + "\n"
    derived = derived.replace("from oodbench", "from base import Base\nfrom oodbench", 1)
    base = "from oodbench.contracts import Detector\nclass Base(Detector):\n    scale = 2"

    def key(base: str) -> dict:
        return plugin_key(written(derived, base=base))

    assert key(base) == key(base + "  # twice")
    assert key(base) != key(base.replace("2", "3"))


@pytest.fixture
def library(tmp_path: Path) -> Iterator:
    """Return a function that installs a version of ``lib-dist``, which brings ``lib``."""
    metadata = tmp_path / "lib_dist-1.0.dist-info"
    metadata.mkdir()
    (metadata / "top_level.txt").write_text("lib\n")
    (tmp_path / "lib.py").write_text("scores = 1")

    def install(version: str) -> None:
        text = f"Metadata-Version: 2.1\nName: lib-dist\nVersion: {version}\n"
        (metadata / "METADATA").write_text(text)
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("lib", None)


LATE = "\n\ndef late():\n    import lib.scores\n"
FOR_TYPES = "\n\nimport typing\nif typing.TYPE_CHECKING:\n    import lib\n"


@pytest.mark.parametrize(
    ("source", "helper", "counts"),
    [
        (SOURCE, "import lib", False),
        (SOURCE + LATE, "", True),
        (SOURCE + FOR_TYPES, "", False),
        (SOURCE + "\nfrom package import helper", "from lib import scores", True),
        (SOURCE + "\nfrom . import helper", LATE, True),
        (SOURCE + "\nfrom .helper import late", LATE, True),
        (SOURCE + "\nimport package.helper", FOR_TYPES, False),
    ],
)
def test_the_version_of_what_a_plugin_imports_counts(
    written, library, source: str, helper: str, counts: bool
) -> None:
    def key(version: str) -> dict:
        library(version)
        return plugin_key(written(source, module="package.scaled", __init__="", helper=helper))

    assert (key("1.0") != key("1.1")) == counts


def test_a_base_class_from_a_library_counts_by_its_version(written, library, tmp_path) -> None:
    derived = SOURCE.replace("(Detector)", "(lib.Base, Detector)")
    derived = derived.replace("from oodbench", "import lib\nfrom oodbench", 1)

    def key(version: str, code: str) -> dict:
        library(version)
        (tmp_path / "lib.py").write_text(f"class Base:\n    {code}")
        sys.modules.pop("lib", None)
        return plugin_key(written(derived))

    assert key("1.0", "scale = 2") == key("1.0", "scale = 3")
    assert key("1.0", "scale = 2") != key("1.1", "scale = 2")


def test_the_versions_of_torch_and_numpy_do_not_count(written) -> None:
    late = "\n\ndef late():\n    import json, numpy, sklearn\n    from torch import nn\n"
    versions = plugin_key(written(SOURCE + late))["versions"]
    assert list(versions) == ["scikit-learn"]


NOTEBOOK = """
import linecache, sys
from oodbench.identity.keys import plugin_key
source = sys.stdin.read()
linecache.cache["cell"] = (len(source), None, source.splitlines(keepends=True), "cell")
exec(compile(source, "cell", "exec"))
if len(sys.argv) > 1:
    sys.modules["__main__"].__file__ = sys.argv[1]
print(plugin_key(Scaled())["code"])
"""


@pytest.mark.parametrize("file", [[], ["cell"]], ids=["Jupyter", "with a file"])
def test_a_class_of_a_notebook_counts_by_its_own_source(file: list[str]) -> None:
    def key(source: str) -> str:
        command = [sys.executable, "-c", NOTEBOOK, *file]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
        return done.stdout

    assert key(SOURCE) == key(SOURCE.replace("# grey", "# gray"))
    assert key(SOURCE) != key(SOURCE.replace(".mean(", ".amax("))


SCRIPT = """
from oodbench.identity.keys import plugin_key
print(plugin_key(Scaled())["code"])
"""


def test_a_class_of_a_script_counts_with_the_whole_script(tmp_path: Path) -> None:
    def key(source: str) -> str:
        (tmp_path / "script.py").write_text(source + SCRIPT)
        command = [sys.executable, str(tmp_path / "script.py")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert key(SOURCE) == key(SOURCE.replace("# grey", "# gray"))
    assert key(SOURCE) != key(SOURCE.replace("SCALE = 2", "SCALE = 3"))


def test_a_class_without_source_cannot_have_a_key() -> None:
    typed = type("Typed", (Plain,), {"__module__": "__main__"})
    with pytest.raises(TypeError, match="define it in a file"):
        plugin_key(typed())


class Forgetful(Plain):
    """Does not store its parameter."""

    def __init__(self, *, power=1):
        pass


def test_a_plugin_that_hides_a_parameter_cannot_have_a_key() -> None:
    with pytest.raises(PluginError, match="does not store its parameter 'power'"):
        plugin_key(Forgetful())
