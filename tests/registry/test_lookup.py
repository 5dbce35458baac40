"""Plugins are looked up by name and made from parameters; mistakes are named."""

from __future__ import annotations

import pytest

from oodbench.errors import InvalidParameter, PluginError, UnknownName, UserError
from oodbench.registry.lookup import Entry, convert, load_registry

DETECTOR = """
from oodbench.contracts import Detector, Info, hookimpl

class Mine(Detector):
    info = Info(name="mine", summary="Mine.")

    def __init__(self, *, power: float = 1.0, mode: str | None = "fast",
                 sizes: tuple[int, ...] = (1,), whole: bool = False, plain=3):
        if power < 0:
            raise ValueError("power is negative")
        self.power, self.mode, self.sizes, self.whole = power, mode, sizes, whole
        self.plain = plain

    def score(self, batch):
        return batch.labels.double()

@hookimpl
def oodbench_detectors():
    return [Mine]
"""


@pytest.fixture
def mine(install) -> Entry:
    install("mine", DETECTOR)
    return load_registry().detectors["mine"]


def test_what_ships_is_registered() -> None:
    loaded = load_registry()
    assert {"msp", "energy", "maxlogit"} <= set(loaded.detectors)
    assert {"mnist", "digits", "uniform"} <= set(loaded.datasets)
    assert {"preact-resnet"} <= set(loaded.classifiers)
    assert {"mnist", "cifar10", "fashionmnist", "digits"} <= set(loaded.benchmarks)
    assert loaded.failures == []


def test_an_entry_knows_its_parameters(mine) -> None:
    defaults = {"power": 1.0, "mode": "fast", "sizes": (1,), "whole": False, "plain": 3}
    assert mine.defaults() == defaults
    assert vars(mine.create()) == defaults


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("power", "2", 2.0),
        ("power", "1e-3", 0.001),
        ("mode", "slow", "slow"),
        ("mode", "none", None),
        ("whole", "true", True),
        ("sizes", ["1", "2"], (1, 2)),
        ("plain", "4", 4),
    ],
)
def test_text_becomes_the_type_of_the_parameter(mine, name: str, text: object, value) -> None:
    created = getattr(mine.create(**{name: text}), name)
    assert (created, type(created)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("power", "much", r"mine\.power = 'much': input should be a valid number"),
        ("power", "none", r"mine\.power = 'none': input should be a valid number"),
        ("whole", "7", r"mine\.whole = '7': input should be a valid boolean"),
        ("plain", "four", r"mine\.plain = 'four': input should be a valid integer"),
        ("power", "-1", "detector mine: power is negative"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(mine, name: str, text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{complaint}"):
        mine.create(**{name: text})


def test_an_unknown_parameter_is_refused_with_the_nearest(mine) -> None:
    with pytest.raises(UnknownName, match=r"unknown parameter of detector mine: 'powr'; did you"):
        mine.create(powr=1)


def test_a_class_that_cannot_be_made_with_its_defaults_is_at_fault_itself(install) -> None:
    install("mine", DETECTOR.replace("def score", "def scores"))
    with pytest.raises(PluginError, match="detector mine: Can't instantiate abstract class Mine"):
        load_registry().detectors["mine"].create()


def test_text_may_say_none() -> None:
    assert convert("mode", "none", str) == "none"
    assert convert("mode", "None", str | None) is None


def test_a_type_that_cannot_be_checked_is_passed_on() -> None:
    class Odd:
        pass

    assert convert("odd", "text", Odd) == "text"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("detectors", "enrgy", "unknown detector 'enrgy'; did you mean 'energy'?"),
        ("datasets", "fashionmnst", "unknown data set 'fashionmnst'; did you mean 'fashionmnist'?"),
        (
            "classifiers",
            "x",
            "unknown classifier 'x'; known: cider, efficientnet-lite, energy-bounded, "
            "fast-convnet, logit-norm, openood, outlier-exposure, pixmix, preact-resnet, "
            "pytorch-ood-wrn, quick-convnet, resnet18, rotpred, t2fnorm, timm, torchvision, vos, "
            "wideresnet16-4.",
        ),
        ("benchmarks", "minst", "unknown benchmark 'minst'; did you mean 'mnist'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind: str, name: str, message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        getattr(load_registry(), kind)[name]
    assert str(caught.value) == message


def test_an_unknown_name_is_answered_with_what_failed_to_load(install) -> None:
    install("broken", "import not_installed")
    with pytest.raises(UnknownName, match=r"Plugins that failed to load: broken \(see oodbench"):
        load_registry().detectors["unheard-of"]


def test_a_name_that_two_distributions_bring_is_an_error_that_names_both(install) -> None:
    install("mine", DETECTOR)
    install("yours", DETECTOR)
    loaded = load_registry()
    with pytest.raises(UserError, match=r"mine-dist 1.0 \(mine\) and yours-dist 1.0 \(yours\)"):
        loaded.detectors["mine"]
    assert "mine" not in list(loaded.detectors)
    assert [failure.plugin.name for failure in loaded.failures] == ["yours"]


@pytest.mark.parametrize("item", ["3", "None", "int", "'text'"])
def test_an_item_that_is_no_detector_is_reported(install, item: str) -> None:
    install("odd", DETECTOR.replace("[Mine]", f"[Mine, {item}]"))
    loaded = load_registry()
    assert "mine" in loaded.detectors
    assert [failure.plugin.name for failure in loaded.failures] == ["odd"]


@pytest.mark.parametrize("item", ["3", "'text'", "('one', 'two', 'three')"])
def test_an_absent_detector_without_a_reason_is_reported(install, item: str) -> None:
    source = f"""
from oodbench.contracts import hookimpl

@hookimpl
def oodbench_absent():
    return [("far", "is out of reach"), {item}]
"""
    install("odd", source)
    loaded = load_registry()
    assert loaded.absent["far"] == "is out of reach"
    assert loaded.why_missing("far") == "is out of reach"
    assert "oodbench_absent" in loaded.failures[0].reason


def test_a_class_of_another_kind_is_reported(install) -> None:
    install("odd", DETECTOR.replace("oodbench_detectors", "oodbench_datasets"))
    loaded = load_registry()
    assert "mine" not in loaded.datasets
    assert "Mine is no Dataset" in loaded.failures[0].reason


def test_a_benchmark_that_cannot_be_read_is_reported(install, tmp_path) -> None:
    source = f"""
from pathlib import Path
from oodbench.contracts import hookimpl

@hookimpl
def oodbench_benchmarks():
    return [Path({str(tmp_path)!r}, "odd.toml")]
"""
    (tmp_path / "odd.toml").write_text("name = ")
    install("odd", source)
    loaded = load_registry()
    assert "digits" in loaded.benchmarks
    assert "odd.toml: malformed TOML" in loaded.failures[0].reason


def test_the_plugin_that_should_have_brought_a_name_is_told(install) -> None:
    install("broken", DETECTOR.replace("from", "import not_installed\nfrom", 1))
    reason = "plugin 'broken' failed to load: ModuleNotFoundError: No module named 'not_installed'"
    assert load_registry().why_missing("mine").startswith(reason)
    assert load_registry().why_missing("unheard-of") == ""


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "", "Mine", "my\x1b[2J"])
def test_a_name_that_could_lead_elsewhere_is_a_failure_of_the_plugin(install, name: str) -> None:
    install("mine", DETECTOR.replace('"mine"', repr(name)))
    loaded = load_registry()
    assert name not in loaded.detectors
    assert any(
        "is not a valid name: use lower case" in failure.reason for failure in loaded.failures
    )


def test_a_number_that_no_run_could_be_read_with_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="steps has more than 64 bits"):
        convert("steps", "1" + "0" * 400, int)
