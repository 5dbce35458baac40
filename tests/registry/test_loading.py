"""Plugins are found by their entry points; one that fails does not affect the others."""

from __future__ import annotations

import re
import shutil

import pytest

from oodbench.contracts import Detector, parameters
from oodbench.errors import PluginError, describe
from oodbench.registry.loading import Plugin, Plugins

SOUND = """
from oodbench.contracts import hookimpl

@hookimpl
def oodbench_detectors():
    return ["one", "two"]
"""


NO_SEQUENCE = "PluginError: must return a sequence, such as a list of classes, not"


def failures() -> dict[str, str]:
    """Return the reasons of failures by the names of plugins, what ships left out."""
    loaded = Plugins()
    list(loaded.collect("oodbench_detectors"))
    return {each.plugin.name: each.reason for each in loaded.failures}


def test_what_a_plugin_brings_comes_with_its_distribution(install) -> None:
    install("mine", SOUND)
    brought = [
        (plugin, item)
        for plugin, item in Plugins().collect("oodbench_detectors")
        if plugin.name == "mine"
    ]
    assert brought == [(Plugin("mine", "mine-dist 1.0", "mine"), item) for item in ("one", "two")]


def test_what_ships_comes_in_by_the_same_door() -> None:
    distributions = {plugin.distribution for plugin, _ in Plugins().collect("oodbench_datasets")}
    assert len(distributions) == 1
    assert distributions.pop().startswith("oodbench ")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_installed", r"ModuleNotFoundError: No module named 'not_installed' (m.py:1)"),
        ("\nx = 1 / 0", "ZeroDivisionError: division by zero (m.py:2)"),
        ("def :", "SyntaxError: invalid syntax (m.py, line 1)"),
        ("raise SystemExit('no GPU')", "SystemExit: no GPU (m.py:1)"),
        (SOUND.replace("detectors", "detektors"), "PluginValidationError: "),
        (SOUND.replace("detectors()", "detectors(colour)"), "PluginValidationError: "),
        (SOUND.replace('["one", "two"]', "1 / 0"), "oodbench_detectors: ZeroDivisionError: "),
        (SOUND.replace('["one", "two"]', "3"), f"oodbench_detectors: {NO_SEQUENCE} 3"),
        (SOUND.replace('["one", "two"]', "str"), f"oodbench_detectors: {NO_SEQUENCE} str"),
        (SOUND.replace('["one", "two"]', '"one"'), f"oodbench_detectors: {NO_SEQUENCE} 'one'"),
        (SOUND.replace("@hookimpl\n", ""), "PluginError: announces nothing; is @hookimpl missing?"),
    ],
)
def test_a_plugin_that_fails_is_reported_and_does_not_affect_the_others(
    install, source, reason
) -> None:
    install("m", source)
    install("sound", SOUND)
    found = failures()
    assert found["m"].startswith(reason)
    assert "\n" not in found["m"]
    assert "sound" not in found
    assert "two" in [item for _, item in Plugins().collect("oodbench_detectors")]


def test_an_entry_point_without_module_is_reported(install) -> None:
    (install("gone", "") / "gone.py").unlink()
    assert failures()["gone"].startswith("ModuleNotFoundError: No module named 'gone'")


def test_a_distribution_that_is_found_twice_counts_once(install, tmp_path, monkeypatch) -> None:
    folder = install("mine", SOUND)
    shutil.copytree(folder, tmp_path / "again")
    monkeypatch.syspath_prepend(tmp_path / "again")
    items = [item for _, item in Plugins().collect("oodbench_detectors") if item == "one"]
    assert items == ["one"]


def test_a_failed_plugin_is_suspected_of_the_names_in_its_source(install) -> None:
    install("broken_one", 'import not_installed\ninfo = Info(name="wanted")\nx = "not-wanted"')
    plugin = next(each.plugin for each in Plugins().failures if each.plugin.name == "broken_one")
    assert plugin.brings("wanted")
    assert plugin.brings("broken-one")
    assert not plugin.brings("unheard-of")


def test_a_plugin_that_is_not_there_is_suspected_of_its_own_name_alone() -> None:
    plugin = Plugin("gone", "gone 1.0", "gone_module")
    assert plugin.brings("gone")
    assert not plugin.brings("unheard-of")


def test_an_error_is_described_in_one_line() -> None:
    assert describe(ValueError("two\n  lines")) == "ValueError: two lines"
    assert describe(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("import numpy\nnumpy.linalg.inv(numpy.ones(2))", ["(m.py:2)"]),
        ("import json\n\njson.loads('{')", ["(m.py:3)"]),
        ("from sklearn.svm import SVC\nSVC().fit([[1]], [1])", ["(m.py:2)"]),
        ("from oodbench.contracts import parameters\nparameters(3)", ["(m.py:2)"]),
        ("def :", []),
        (SOUND.replace("detectors", "detektors"), []),
        (SOUND.replace('["one", "two"]', "str"), []),
    ],
)
def test_a_failure_ends_with_the_line_of_the_plugin_or_with_none(install, source, place) -> None:
    install("m", source)
    assert re.findall(r"\([^()]+:\d+\)$", failures()["m"]) == place


class Positional(Detector):
    """A detector that breaks the contract."""

    def __init__(self, power=1) -> None:
        self.power = power

    def score(self, batch):
        return batch.labels


@pytest.mark.parametrize(
    ("item", "end"),
    [(Positional(), r"must be a keyword-only parameter$"), (3, r" \(detector\.py:\d+\)$")],
)
def test_a_fault_of_oodbench_ends_with_its_line_and_what_it_refuses_does_not(item, end) -> None:
    with pytest.raises((PluginError, ValueError)) as caught:
        parameters(item)
    beyond_this_test = caught.value.__traceback__.tb_next
    assert re.search(end, describe(caught.value.with_traceback(beyond_this_test)))
