"""Benchmark definitions are read with care; what is wrong with one is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodbench.contracts import Benchmark
from oodbench.errors import UserError
from oodbench.registry.benchmarks import load_benchmark

LEAST = 'name = "mine"\nid = "digits"\nood = ["uniform"]\nclassifier = "preact-resnet"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_what_is_left_out_has_the_defaults(tmp_path: Path) -> None:
    assert load_benchmark(write(tmp_path, LEAST)) == Benchmark(
        name="mine", id="digits", ood=("uniform",), classifier="preact-resnet"
    )


def test_every_field_can_be_given(tmp_path: Path) -> None:
    text = (
        LEAST
        + 'summary = "Mine."\nimages_per_set = 5\ncalibration_images = 6\nselection_seed = 7\n'
        '[groups]\nfar = ["uniform"]\n'
        "[parameters.preact-resnet]\nepochs = 1\n"
    )
    assert load_benchmark(write(tmp_path, text)) == Benchmark(
        name="mine",
        id="digits",
        ood=("uniform",),
        classifier="preact-resnet",
        groups={"far": ("uniform",)},
        summary="Mine.",
        images_per_set=5,
        calibration_images=6,
        selection_seed=7,
        parameters={"preact-resnet": {"epochs": 1}},
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LEAST + "oops\n", r"malformed TOML: .*line 5, column 5"),
        (LEAST.replace("]", ""), r"malformed TOML: .*line 4"),
        (LEAST + LEAST, r"malformed TOML: .*line 5"),
        (LEAST + "colour = 1\n", "unknown key 'colour'"),
        (
            LEAST.replace("classifier", "clasifier"),
            r"unknown key 'clasifier'; did you mean 'classifier'\?$",
        ),
        (LEAST.replace('id = "digits"\n', ""), "key 'id'"),
        (LEAST.replace('["uniform"]', '"uniform"'), "key 'ood'"),
        (LEAST.replace('["uniform"]', "[]"), "key 'ood': names no data set"),
        (LEAST.replace('["uniform"]', '["uniform", 1]'), r"key 'ood\.1'"),
        (LEAST + 'images_per_set = "many"\n', "key 'images_per_set'"),
        (
            LEAST + "images_per_set = 0\n",
            "key 'images_per_set': must be from 1 to 1,000,000,000,000",
        ),
        (
            LEAST + "calibration_images = -1\n",
            "key 'calibration_images': must be from 1 to 1,000,000,000,000",
        ),
        (LEAST + "selection_seed = -1\n", "key 'selection_seed': must be from 0"),
        (LEAST + "[parameters]\npreact-resnet = 3\n", r"key 'parameters\.preact-resnet'"),
        (LEAST + '[groups]\nfar = "uniform"\n', r"key 'groups\.far'"),
        (LEAST + "[groups]\nfar = []\n", r"key 'groups\.far': names no data set"),
        (LEAST + '[groups]\nfar = ["gaussian"]\n', r"key 'groups\.far': 'gaussian' is not among"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=rf"mine\.toml: {complaint}"):
        load_benchmark(write(tmp_path, text))


@pytest.mark.parametrize(
    "name", ["../../../evil", "/tmp/evil", "", ".", "Mine", "a b", "a--b", "a\\u001b[2J", "x\\n"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, LEAST.replace("mine", name))
    with pytest.raises(UserError, match=r"key 'name': (.|\n)* is not a valid name: use lower case"):
        load_benchmark(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = " + "[" * 1_000 + "]" * 1_000, "nested"),
        ("x = " + "[" * 150 + "]" * 150, "nested more than 100 deep"),
        ("x" + ".x" * 3_000 + " = 1", "nested"),
        ("x = " + "1" * 5_000, "malformed TOML: "),
        ("x = " + "1" * 400, "a whole number has more than 64 bits"),
        ("x = inf", "a number is not finite"),
        ("# " + "x" * 2**20, "bytes, and 1,048,576 are the limit"),
    ],
)
def test_sizes_beyond_all_reason_are_malformed(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        load_benchmark(write(tmp_path, LEAST + text))


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="it is not a regular file"):
        load_benchmark(tmp_path / "mine.toml")


def test_bytes_that_are_no_text_are_malformed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(UserError, match=r"mine\.toml: malformed TOML"):
        load_benchmark(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.toml: cannot be read: No such file"):
        load_benchmark(tmp_path / "mine.toml")
