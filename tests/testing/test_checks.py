"""What plugin authors see of the kit: `checks`, and the pytest decorator made of them."""

from unittest import SkipTest

import pytest
from outcomes import failures

from oodbench.contracts import Detector, Info, Need
from oodbench.testing import (
    benchmarks,
    checks,
    classifiers,
    datasets,
    detectors,
    parametrize_with_checks,
)

TOML = """
name = "letters"
id = "letters-a-to-m"
ood = ["letters-n-to-z", "noise"]
classifier = "small"
summary = "Half of the alphabet against the other half"
"""


class Confidence(Detector):
    info = Info(name="confidence", summary="Low maximum logit")
    needs = frozenset({Need.LOGITS})

    def __init__(self, *, scale=1.0):
        self.scale = scale

    def score(self, batch):
        return -self.scale * batch.logits.amax(dim=1)


@parametrize_with_checks([Confidence(), Confidence(scale=2.0)])
def test_the_decorator_runs_every_check(check):
    check()


def test_the_decorator_names_plugin_parameters_and_check():
    mark = parametrize_with_checks([Confidence(), Confidence(scale=2.0)]).mark
    names = [mark.kwargs["ids"](check) for check in mark.args[1]]
    assert "confidence-toy_shift" in names
    assert "confidence(scale=2.0)-toy_shift" in names


def test_a_check_says_what_it_is_for():
    purposes = {check.name: check.purpose for check in checks(Confidence())}
    assert purposes["fit"] == (
        "fit works with what is declared, returns self and leaves parameters alone"
    )


def test_what_a_check_is_for_is_plain_text():
    kinds = (detectors, datasets, classifiers, benchmarks)
    functions = [function for kind in kinds for function in kind.CHECKS]
    assert {function.__doc__.partition(" that ")[0] for function in functions} == {"Check"}
    assert not any("`" in check.purpose for check in checks(Confidence()))


def test_the_plugin_under_test_is_left_unfitted():
    detector = Confidence()
    for check in checks(detector):
        try:
            check()
        except SkipTest:
            continue
    assert vars(detector) == {"scale": 1.0}


def test_what_is_no_plugin_is_refused():
    with pytest.raises(TypeError, match="is not a detector, data set, classifier or path"):
        list(checks(Confidence))


def test_a_sound_benchmark_passes(tmp_path):
    path = tmp_path / "letters.toml"
    path.write_text(TOML)
    assert failures(path) == {}


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('id = "', "id = ", "file"),
        ("classifier", "clasifier", "file"),
        ('name = "letters"', 'name = "Letters!"', "file"),
        ('name = "letters"', 'name = "digits"', "name"),
        ("Half of the alphabet against the other half", "", "name"),
        ('"noise"', '"letters-n-to-z"', "sets"),
        ('"noise"', '"letters-a-to-m"', "sets"),
    ],
)
def test_one_fault_of_a_benchmark_fails_one_check(tmp_path, old, new, name):
    path = tmp_path / "letters.toml"
    assert old in TOML
    path.write_text(TOML.replace(old, new))
    assert list(failures(path)) == [name]
