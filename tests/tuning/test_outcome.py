"""What is found is said in full, and written as a benchmark that a run takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodbench.contracts import Benchmark
from oodbench.errors import UserError
from oodbench.registry.benchmarks import load_benchmark
from oodbench.tuning.outcome import Tried, Tuned, tuned_benchmark, write_benchmark

BENCHMARK = Benchmark(
    name="b",
    id="digits",
    ood=("uniform", './my "own" set'),
    classifier="preact-resnet",
    calibration_images=7,
    parameters={"preact-resnet": {"epochs": 1}, "odin": {"step": 0.1}},
)


def tried(value: float, *auroc: float, error: str = "") -> Tried:
    sets = {f"set {number}": each for number, each in enumerate(auroc)}
    return Tried({"step": value, "temperature": 1.0}, sets, error)


def test_the_best_has_the_largest_mean() -> None:
    tuned = Tuned("odin", [tried(1, 0.5, 0.9), tried(2, 0.8, 0.8), tried(3, 0.95, 0.2)])
    assert tuned.best.settings["step"] == 2
    assert tuned.changed == {"step": 2}
    assert tuned.warnings() == []


def test_the_default_is_kept_if_nothing_is_better() -> None:
    tuned = Tuned("odin", [tried(1, 0.8), tried(2, 0.8), tried(3, 0.7)])
    assert tuned.changed == {}
    assert tuned.warnings() == [
        "the search changed nothing: the default is the best of the tried settings"
    ]


def test_a_parameter_without_any_effect_is_warned_of() -> None:
    tuned = Tuned("odin", [tried(1, 0.8), tried(2, 0.8)])
    assert tuned.warnings() == ["the search changed nothing: all settings give the same AUROC"]


def test_failed_settings_are_counted_and_never_the_best() -> None:
    tuned = Tuned("odin", [tried(1, error="no luck"), tried(2, 0.1), tried(3, 0.2)])
    assert tuned.best.settings["step"] == 3
    assert tuned.warnings() == ["1 of 3 settings failed, first step 1, temperature 1.0: no luck"]


def test_where_all_failed_there_is_nothing_to_change() -> None:
    tuned = Tuned("odin", [tried(1, error="no luck"), tried(2, error="none either")])
    assert tuned.changed == {}
    assert tuned.warnings() == ["2 of 2 settings failed, first step 1, temperature 1.0: no luck"]


def test_a_definition_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = [Tuned("odin", [tried(1, 0.5), tried(2, 0.6)]), Tuned("knn", [tried(1, 0.5)])]
    asked = {"preact-resnet": {"width": "4"}, "knn": {"neighbours": "5"}}
    expected = tuned_benchmark(BENCHMARK, asked, found)
    path = tmp_path / "folder" / "tuned.toml"
    write_benchmark(expected, ["two\nlines", "more"], path)
    assert path.read_text().startswith("# two\n# lines\n# more\n")
    assert load_benchmark(path) == expected
    assert expected.parameters == {
        "preact-resnet": {"epochs": 1, "width": "4"},
        "odin": {"step": 2},
        "knn": {"neighbours": "5"},
    }
    assert BENCHMARK.parameters["odin"] == {"step": 0.1}


def test_no_value_is_written_as_the_text_for_it(tmp_path: Path) -> None:
    tuned = tuned_benchmark(BENCHMARK, {"vim": {"dimension": None}}, [])
    write_benchmark(tuned, [], tmp_path / "tuned.toml")
    assert load_benchmark(tmp_path / "tuned.toml").parameters["vim"] == {"dimension": "none"}


def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write '.*tuned\.toml'"):
        write_benchmark(BENCHMARK, [], tmp_path / "file" / "tuned.toml")
