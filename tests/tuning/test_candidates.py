"""Settings to try come from the space that a detector declares."""

from __future__ import annotations

import pytest

from oodbench.errors import PluginError
from oodbench.registry.lookup import load_registry
from oodbench.tuning.candidates import list_candidates

LOADED = load_registry()


def candidates(name: str, fixed=(), images: int = 10_000, samples: int = 100, **given):
    entry = LOADED.detectors[name]
    return list_candidates(entry, entry.create(**given), fixed, images, samples, seed=0)


def settings(found):
    return [dict(candidate.settings) for candidate in found]


def test_the_default_comes_first_and_the_grid_is_complete() -> None:
    found = candidates("odin")
    assert found[0].settings == {"temperature": 1000.0, "step": 0.0014}
    assert len(found) == 4 * 4
    assert len({candidate.label for candidate in found}) == len(found)
    for candidate in found:
        assert candidate.detector.step == candidate.settings["step"]


def test_a_default_that_is_not_in_the_space_is_tried_too() -> None:
    found = candidates("knn", neighbours=7)
    assert settings(found)[0] == {"neighbours": 7}
    assert len(found) == 1 + 5


def test_a_space_of_what_is_no_parameter_is_the_plugins_fault(monkeypatch) -> None:
    monkeypatch.setattr(LOADED.detectors["knn"].target, "space", {"neighbors": (1, 5)})
    with pytest.raises(PluginError, match=r"space names \['neighbors'\], which are not parameters"):
        candidates("knn")


def test_given_parameters_keep_their_values() -> None:
    found = candidates("odin", fixed={"step"}, step=0.5)
    assert {candidate.detector.step for candidate in found} == {0.5}
    assert len(found) == 4
    assert set(found[0].settings) == {"temperature"}


def test_more_settings_than_asked_for_are_drawn_without_repetition() -> None:
    found = candidates("odin", samples=6)
    assert len(found) == 1 + 6
    assert settings(found) == settings(candidates("odin", samples=6))
    every = settings(candidates("odin"))
    assert all(each in every for each in settings(found))
    assert len({tuple(each.values()) for each in settings(found)}) == 7


def test_what_the_detector_refuses_is_left_out() -> None:
    found = candidates("local-outlier-factor", sample=30)
    assert [each["neighbours"] for each in settings(found)] == [20, 5, 10]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("knn", [50]),
        ("react+knn", [50]),
        ("nnguide", [10, 1, 5, 50]),
        ("local-outlier-factor", [20, 5, 10, 50]),
    ],
)
def test_what_needs_more_training_images_than_there_are_is_left_out(name, values) -> None:
    neighbours = next(key for key in candidates(name)[0].settings if key.endswith("neighbours"))
    found = settings(candidates(name, images=99, samples=1000))
    assert list(dict.fromkeys(each[neighbours] for each in found)) == values


def test_a_share_of_the_training_images_holds_as_many_neighbours() -> None:
    of_all, of_half = (
        {each["neighbours"] for each in settings(candidates("knn", images=400, share=share))}
        for share in (1.0, 0.5)
    )
    assert of_all == {50, 100, 200}
    assert of_half == {50, 100, 200}
    assert candidates("knn", images=399, share=0.5)[-1].settings == {"neighbours": 100}


@pytest.mark.parametrize("name", ["maxlogit", "entropy"])
def test_without_a_space_there_is_the_default_alone(name: str) -> None:
    assert settings(candidates(name)) == [{}]
