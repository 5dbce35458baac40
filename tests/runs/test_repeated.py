"""A finished run is repeated from its ``run.json`` alone, and its figures are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import oodbench
from oodbench.cli import main
from oodbench.errors import InvalidData, UserError
from oodbench.registry.lookup import load_registry
from oodbench.request.resolution import resolve_folds
from oodbench.runs.options import RunOptions
from oodbench.runs.repeated import repeat

FOLDED = """
name = "halves"
id = "digits[{known-classes}]"
ood = ["digits[!{known-classes}]"]
classifier = "preact-resnet"
images_per_set = 60
calibration_images = 50
validation_images = 20
[folds]
known-classes = ["0-4", "5-9"]
[parameters.preact-resnet]
epochs = 1
width = 4
"""


def again(run: Path, out: Path, store: Path, **options) -> oodbench.Run:
    return oodbench.run(locked=run, out=out, store=store, engine="inline", device="cpu", **options)


def equal(first: oodbench.Run, second: oodbench.Run) -> None:
    left, right = (
        run.records.drop(columns=["fit_seconds", "score_seconds"]) for run in (first, second)
    )
    pd.testing.assert_frame_equal(left, right)


def test_a_run_with_objects_and_parameters_is_repeated(tiny, store, tmp_path) -> None:
    first = oodbench.run(
        benchmark=str(tiny),
        detectors=["react+knn", "energy", "isolation-forest"],
        parameters={
            "react+knn": {"knn_neighbours": 7},
            "energy": {"temperature": 2.0},
            "uniform": {"seed": 5, "count": 70},
        },
        seeds=[1, 3],
        images=100,
        ood=["uniform"],
        store=store,
        out=tmp_path / "first",
        engine="inline",
        device="cpu",
    )
    assert first.info["request"]["datasets"] == {"uniform": {"seed": 5, "count": 70}}
    second = again(first.directory, tmp_path / "second", store)
    equal(first, second)
    for part in ("request", "benchmark", "key"):
        assert second.info[part] == first.info[part], part
    assert second.info["jobs_run"] == 0


def test_parameters_of_sets_that_a_run_does_not_have_are_nothing_to_repeat(
    drawable, tmp_path
) -> None:
    info = json.loads((drawable / "run.json").read_text())
    info["request"]["datasets"] = {"foo": {}, "mnist": {"count": 3}}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps(info))
    repeated = repeat(RunOptions(locked=tmp_path / "run"), load_registry())
    (resolved,) = resolve_folds(repeated, load_registry()).values()
    assert resolved.datasets == {}


def test_a_run_with_folds_is_repeated(store, tmp_path) -> None:
    (tmp_path / "halves.toml").write_text(FOLDED)
    first = oodbench.run(
        benchmark=tmp_path / "halves.toml",
        detectors=["msp"],
        store=store,
        out=tmp_path / "first",
        engine="inline",
        device="cpu",
    )
    (tmp_path / "halves.toml").unlink()
    second = again(first.directory, tmp_path / "second", store)
    equal(first, second)
    assert second.info["jobs_run"] == 0


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"detectors": ["msp"]}, "--detectors"),
        ({"images": 20}, "--images"),
        ({"seeds": 2}, "--seeds"),
        ({"classifier": "resnet18"}, "--classifier"),
        ({"parameters": {"msp": {"temperature": 2}}}, "--set"),
    ],
)
def test_a_locked_request_is_repeated_whole_or_not_at_all(
    drawable, store, tmp_path, options, flag
) -> None:
    with pytest.raises(UserError, match=f"repeats a whole request: leave out {flag}"):
        again(drawable, tmp_path / "again", store, **options)


def test_scores_computed_elsewhere_are_not_taken_for_a_request(store, tmp_path) -> None:
    columns = {"detector": "msp", "dataset": ["digits", "glyphs"] * 5, "split": ["id", "ood"] * 5}
    table = pd.DataFrame(columns | {"score": range(10), "classifier": "preact-resnet"})
    given = oodbench.evaluate(table, larger_is="ood", out=tmp_path / "given")
    with pytest.raises(UserError, match="of scores computed elsewhere, cannot be repeated"):
        again(given.directory, tmp_path / "again", store)


def test_folds_that_the_id_set_does_not_depend_on_are_refused(drawable, store, tmp_path) -> None:
    info = json.loads((drawable / "run.json").read_text())
    request = {key: info["request"][key] for key in ("id", "ood", "groups", "fingerprints")}
    info["folds"] = {"1": request | {"artifacts": info["artifacts"]}}
    (tmp_path / "run.json").write_text(json.dumps(info))
    with pytest.raises(InvalidData, match="the run has folds"):
        again(tmp_path, tmp_path / "again", store)


def test_the_command_says_that_figures_agree(drawable, store, tmp_path, capsys) -> None:
    command = ["run", "--locked", str(drawable), "--store", str(store), "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "again"), "--engine", "inline"]) == 0
    assert f"all figures are those of {drawable}" in capsys.readouterr().out


def test_the_command_fails_where_figures_differ_beyond_noise(
    drawable, store, tmp_path, capsys
) -> None:
    run = oodbench.read_run(drawable)
    scores = run.scores()
    forged = tmp_path / "forged"
    forged.mkdir()
    for name in ("records.csv", "predictions.parquet", "run.json"):
        (forged / name).write_bytes((drawable / name).read_bytes())
    scores["score"] = -scores["score"]
    scores.to_parquet(forged / "scores.parquet", index=False)
    info = json.loads((forged / "run.json").read_text())
    from oodbench.store.artifacts import digest_file

    info["files"]["scores.parquet"] = digest_file(forged / "scores.parquet")
    (forged / "run.json").write_text(json.dumps(info))
    assert main(["recompute", str(forged)]) == 0
    command = ["run", "--locked", str(forged), "--store", str(store), "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "again"), "--engine", "inline"]) == 1
    assert "beyond noise" in capsys.readouterr().out


def test_a_run_of_a_users_weights_is_repeated_with_the_file_named(drawable, tmp_path) -> None:
    info = json.loads((drawable / "run.json").read_text())
    base = info["request"]["classifier"]
    file = {"path": "net.safetensors", "network": "preact-resnet", "sha256": "0" * 64}
    info["request"]["classifier"] = {"net.safetensors": file | {"base": base}}
    (tmp_path / "run.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="name them, --classifier FILE"):
        repeat(RunOptions(locked=tmp_path), load_registry())
    asked = repeat(RunOptions(locked=tmp_path, classifier="my.safetensors"), load_registry())
    assert (asked.classifier, asked.arch) == ("my.safetensors", "preact-resnet")
    assert asked.parameters == base


def test_a_run_is_not_repeated_in_its_own_folder(drawable, store, monkeypatch) -> None:
    monkeypatch.chdir(drawable.parent)
    before = (drawable / "run.json").read_bytes()
    with pytest.raises(UserError, match="is the run to repeat; name another folder by --out"):
        again(drawable, Path(drawable.name), store)
    assert (drawable / "run.json").read_bytes() == before


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]])
def test_the_plan_of_a_locked_request_is_that_of_the_run(drawable, store, capsys, command) -> None:
    where = ["--store", str(store), "--device", "cpu"]
    assert main([*command, "--locked", str(drawable), *where]) == 0
    assert capsys.readouterr().out.startswith("0 jobs to run")
