"""An estimate says what a run takes: its images, passes and bytes exactly, its time roughly."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from sample_detectors import Brightness, Confidence, FarFromDrawn, RaisesInFit

import oodbench
from oodbench.cli import main
from oodbench.cli.run import in_words
from oodbench.engine.measuring import Measured, Watch, measure
from oodbench.images.array_files import write_arrays
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.runs import calibration
from oodbench.runs.estimate import Estimate, estimate, extrapolate, group_of, schedule
from oodbench.runs.options import RunOptions
from oodbench.runs.runner import plan_options
from oodbench.store.artifacts import Store


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, one_cpu) -> None:
    """Let a calibration end after its second round."""
    monkeypatch.setattr(calibration, "SECONDS", 0.0)


def of(store: Path, **options: object) -> Estimate:
    asked = RunOptions(**{"device": "cpu", "download": False, **options})
    place = Store(store)
    return estimate(plan_options(asked, place), place)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_images_passes_and_bytes_are_those_of_the_run(tiny: Path, tmp_path: Path) -> None:
    options = {"benchmark": str(tiny), "detectors": ["msp", "odin", "gram"]}
    found = of(tmp_path / "store", **options)
    finished = oodbench.run(
        **options, store=tmp_path / "store", out=tmp_path / "run", engine="inline", device="cpu"
    )
    info = finished.info
    assert found.left_out == {}
    assert found.images == info["distinct_images"]
    assert found.forwarded == info["images_forwarded"]
    again = info["images_forwarded_by_detectors"] + info["images_forwarded_by_probes"]
    assert found.forwarded_again == pytest.approx(again, rel=0.1)
    assert found.bytes == pytest.approx(size(tmp_path / "store"), rel=0.1)
    assert sum(cost.jobs for cost in found.costs) == info["jobs_run"]


def test_what_is_in_the_store_costs_nothing(tiny: Path, drawable: Path, store: Path) -> None:
    options = {
        "benchmark": str(tiny),
        "seeds": 2,
        "parameters": {"ganad": {"recipe": "tiny", "steps": 3, "anomaly_steps": 3}},
        "precision": "float32",
    }
    nothing = of(store, **options, detectors=["ganad", "energy"])
    assert (nothing.forwarded, nothing.forwarded_again, nothing.bytes) == (0, 0, 0)
    assert sum(cost.jobs for cost in nothing.costs) == 0
    options["parameters"]["msp"] = {"temperature": 1.37}  # which no other test has scored by
    more = of(store, **options, detectors=["ganad", "energy", "msp"])
    titles = {cost.title for cost in more.costs}
    assert titles == {"score by msp", "evaluate", "plan, tables and files"}
    assert more.forwarded == 0
    assert 0 < more.bytes < 200_000


def test_an_estimate_writes_nothing_into_the_store(tiny: Path, tmp_path: Path) -> None:
    of(tmp_path / "store", benchmark=str(tiny), detectors=["msp"])
    assert size(tmp_path / "store") == 0


def test_a_detector_that_fails_is_named_and_the_others_are_estimated(
    tiny: Path, store: Path
) -> None:
    found = of(store, benchmark=str(tiny), detectors=[Brightness(), RaisesInFit()])
    name = RaisesInFit.info.name
    assert set(found.left_out) == {f"fit {name}", f"score by {name}"}
    assert "score by brightness" in {cost.title for cost in found.costs if cost.seconds}


def test_folds_without_a_classifier_are_estimated(three: Path, tmp_path: Path) -> None:
    options = {
        "benchmark": three,
        "detectors": [Brightness(), FarFromDrawn(), Confidence()],
        "seeds": 2,
        "data": tmp_path,
    }
    found = of(tmp_path / "store", **options)
    finished = oodbench.run(
        **options, store=tmp_path / "store", out=tmp_path / "run", engine="inline", device="cpu"
    )
    assert found.left_out == {}
    assert found.forwarded == 0
    assert found.bytes == pytest.approx(size(tmp_path / "store"), rel=0.1)
    assert sum(cost.jobs for cost in found.costs) == finished.info["jobs_run"]


def test_arrays_are_estimated(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (folder := tmp_path / "arrays").mkdir()
    for name, count in (("id-train", 3000), ("id-test", 900), ("ood-far", 800)):
        features = random.normal(0, 1, (count, 16)).astype(np.float32)
        labels = features[:, :4].argmax(1)
        arrays = {"features": features, "logits": features[:, :4], "labels": labels}
        write_arrays(folder / f"{name}.safetensors", arrays)
    options = {"arrays": folder, "detectors": ["msp", "knn", "mahalanobis"]}
    found = of(tmp_path / "store", **options)
    oodbench.run(
        **options, store=tmp_path / "store", out=tmp_path / "run", engine="inline", device="cpu"
    )
    assert found.left_out == {}
    assert (found.images, found.forwarded) == (4700, 0)
    assert found.bytes == pytest.approx(size(tmp_path / "store"), rel=0.1)


def test_a_training_is_cut_short_and_its_network_is_used(tiny: Path, tmp_path: Path) -> None:
    asked = RunOptions(
        benchmark=str(tiny),
        detectors=["ganad"],
        parameters={
            "preact-resnet": {"epochs": 500},
            "ganad": {"recipe": "tiny", "steps": 200, "anomaly_steps": 150},
        },
        device="cpu",
    )
    store = Store(tmp_path)
    planned = plan_options(asked, store)
    for job in planned.pending:
        if job.ref.stage in ("prepare", "train", "fit"):
            found = measure(job.bounded(1), store, "cpu", 100, 0.0)
            assert found.error == ""
            assert store.find(*job.ref) is not None
            if job.ref.stage != "prepare":
                assert found.pace > 0
                assert found.total >= 150
                assert found.busy < found.pace * found.total


def test_a_smaller_last_batch_does_not_change_the_pace() -> None:
    watch = Watch(time.process_time, None)
    watch.reports = [(1.0, 100, 384), (2.0, 200, 384), (3.0, 300, 384), (5.0, 384, 384)]
    assert watch.pace() == (pytest.approx(0.01), 100, 284, 384)
    watch.reports = [(1.0, 20, 1000), (2.0, 40, 1000), (4.0, 60, 1000)]  # cut short
    assert watch.pace() == (pytest.approx(0.075), 20, 40, 1000)
    watch.reports = [(1.0, 50, 50)]
    assert watch.pace() == (0.0, 50, 0, 50)


def test_seconds_follow_images_and_steps() -> None:
    def at(images: int, seconds: float, **others: float) -> Measured:
        return Measured(images, seconds, **others)

    line = extrapolate((at(100, 1.1), at(200, 1.2)), 1000)
    assert line.processor == pytest.approx(2.0)
    square = extrapolate((at(100, 1.0), at(200, 4.0)), 1000)
    assert square.processor == pytest.approx(4 * 5**1.5)
    faster = extrapolate((at(100, 3.0), at(200, 1.0)), 1000)  # the first job loads libraries
    assert faster.processor == pytest.approx(1.0)
    alone = extrapolate((at(100, 3.0, bytes=7), at(100, 3.0, bytes=7)), 1000)
    assert (alone.processor, alone.bytes) == (3.0, 7)
    first = at(100, 0.5, total=1000, first=20, bytes=100)
    steps = extrapolate((first, at(200, 0.5, pace=0.01, total=2000, first=20, bytes=150)), 1000)
    assert steps.processor == pytest.approx(0.3 + 0.01 * 10_000)
    assert steps.bytes == 550


def test_forward_passes_are_in_proportion_to_images() -> None:
    found = Measured(100, 1.0, forwarded=300)
    assert extrapolate((found, found), 1000).forwarded == 3000


def job(number: int, *inputs: int, cpus: int = 1) -> list[Job]:
    refs = {str(each): Ref("fit", str(each)) for each in inputs}
    return [Job(Ref("fit", str(number)), f"fit {number}", {}, refs, Resources(cpus, 0.0))]


def test_jobs_side_by_side_take_as_long_as_the_longest_way_through_them() -> None:
    room = Resources(2, 0.0)
    assert schedule([job(0), job(1)], [3.0, 4.0], room) == (4.0, 2)
    assert schedule([job(0), job(1, 0)], [3.0, 4.0], room) == (7.0, 1)
    assert schedule([job(0, cpus=2), job(1)], [3.0, 4.0], room) == (7.0, 1)
    assert schedule([job(0), job(1), job(2)], [3.0, 3.0, 3.0], room) == (6.0, 2)


@pytest.mark.parametrize(
    ("stage", "title", "expected"),
    [
        ("fit", "fit ganad (seed 3)", "fit ganad"),
        ("fit", "fit wgan of ganad, fold 3", "fit wgan of ganad"),
        ("score", "score X by Y by knn (seed 1)", "score by knn"),
        ("probe", "score images of all sets again by knn, fold 3", "score by knn"),
        ("extract", "forward pass over Digits", "forward passes"),
        ("train", "train preact-resnet (seed 2)", "train preact-resnet"),
    ],
)
def test_costs_are_summed_whatever_the_seed_the_fold_and_the_set(
    stage: str, title: str, expected: str
) -> None:
    assert group_of(Job(Ref(stage, "a"), title, {}, {}, Resources(1, 0.0))) == expected


def test_the_command_prints_an_estimate_in_80_columns(
    tiny: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["plan", "--benchmark", str(tiny), "--detectors", "msp,knn,energy,vim,odin"]
    arguments += ["--store", str(store), "--device", "cpu", "--estimate"]
    arguments += ["--set", "odin.step=0.00137"]  # which no other test has put into the store
    assert main(arguments) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert [line for line in lines if len(line.rstrip()) > 80] == []
    assert any(line.startswith("score by odin") for line in lines)
    assert any(line.startswith("the store will grow by") for line in lines)
    assert any(line.startswith("about ") for line in lines)
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert found["seconds"] > 0
    assert {"title", "jobs", "seconds", "processor", "bytes"} == set(found["costs"][0])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0, "0 s"), (1.234, "1.23 s"), (250, "4.17 min"), (5999, "100 min"), (36_000, "10.0 h")],
)
def test_times_are_in_the_unit_that_suits_them(seconds: float, expected: str) -> None:
    assert in_words(seconds) == expected


@pytest.mark.slow
def test_the_time_is_right_within_a_factor_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    options = {"id": "digits", "detectors": ["all-posthoc"]}
    found = of(tmp_path / "store", **options)
    began = time.process_time()
    oodbench.run(
        **options, store=tmp_path / "store", out=tmp_path / "run", engine="inline", device="cpu"
    )
    took = time.process_time() - began
    assert 0.5 < sum(cost.processor for cost in found.costs) / took < 2.0
