"""The comparison of detectors with other libraries."""

import re
from pathlib import Path

import numpy as np
import pytest
from certification.cases import REGISTRY, arrays
from certification.implementations import Implementation
from certification.measuring import Row, agreement, measure
from certification.registered import IMPLEMENTATIONS
from certification.report import HEAD, NOTES, certificate, facts, unexplained

CERTIFICATE = Path(__file__).parents[2] / "results" / "certified.md"
SCORES = np.array([0.0, 1.0, 1.0, 3.0])


@pytest.fixture(scope="module")
def case():
    return arrays()


def pytorch_ood(name):
    return [
        each for each in IMPLEMENTATIONS if (each.detector, each.library) == (name, "pytorch-ood")
    ]


def test_equal_scores_agree():
    found = agreement(SCORES, SCORES)
    assert (found.difference, found.broken, found.error) == (0, 0, "")
    assert found.correlation == pytest.approx(1)


def test_the_difference_is_a_share_of_the_range():
    assert agreement(SCORES, SCORES * [1, 1, 1, 1.5]).difference == pytest.approx(0.5)


def test_scores_that_are_not_finite_are_counted_and_left_out():
    found = agreement(SCORES, np.array([0, 1, 1, np.nan]))
    assert (found.difference, found.broken) == (0, 1)


def test_scores_that_are_all_equal_agree_with_nothing():
    assert agreement(SCORES, np.zeros(4)).error == "all scores are equal or not finite"


def test_the_arrays_are_as_hard_as_the_certificate_says(case):
    assert set(np.bincount(case.labels)[-1:]) == {2}
    assert (case.train[:, 0] == 0).all()
    assert (case.scored[:, 0] != 0).any()
    assert case.train[:, 1].unique().numel() == 1
    assert (case.train < 0).any()
    assert len(case.train[:, 2].unique()) < len(case.train)


def test_a_difference_without_a_reason_is_found(case):
    rows = measure(pytorch_ood("vra"), [case])
    assert unexplained(rows, {}) == ["vra by pytorch-ood"]
    assert unexplained(rows, facts()) == []


def test_an_implementation_that_agrees_needs_no_reason(case):
    assert unexplained(measure(pytorch_ood("energy"), [case]), {}) == []


def test_what_another_library_raises_is_shown(case):
    def fail(case, ours):
        raise ValueError("not today")

    rows = measure([Implementation("energy", "pytorch-ood", fail)], [case])
    assert "fails: ValueError: not today" in certificate(rows, [case], facts())


def test_a_library_that_is_not_installed_is_named(case):
    rows = measure([Implementation("energy", "no-such-library", lambda case, ours: None)], [case])
    page = certificate(rows, [case], facts())
    assert "Not installed: no-such-library." in page
    assert rows == [Row(rows[0].implementation, None, {}, {})]


def named(page):
    """Return the detectors that a page names in a table or a list."""
    return set(re.findall(r"^[|*] `([a-z-]+)`", page, re.MULTILINE))


def test_every_detector_is_compared_or_stands_alone():
    """A new one needs another implementation, or a line under [alone] in methods.toml."""
    wanted = {
        name
        for name, found in REGISTRY.detectors.items()
        if found.target.family in {"posthoc", "classical"} or name == "mcd"
    }
    compared = {each.detector for each in IMPLEMENTATIONS}
    assert wanted - compared - facts()["alone"].keys() == set()


def test_the_certificate_names_every_detector():
    compared = {each.detector for each in IMPLEMENTATIONS}
    page = CERTIFICATE.read_text(encoding="utf-8")
    assert page.startswith(HEAD)
    assert NOTES in page
    assert {*compared, *facts()["alone"]} - named(page) == set()


def test_every_reason_is_of_an_implementation():
    known = {(each.detector, each.library) for each in IMPLEMENTATIONS}
    given = {
        (name, library)
        for name, looked_up in facts().items()
        for library in looked_up.get("reasons", {})
    }
    assert given - known == set()
