"""A run on real data, through all stages, leaves files that agree with each other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sample_detectors import (
    Brightness,
    Confidence,
    Distance,
    Drawn,
    FailsToReduce,
    FirstOfTwo,
    LayerMeans,
    SecondOfTwo,
)
from sample_detectors import info as sample_info

import oodbench
from oodbench.contracts import Need
from oodbench.engine.progress import Progress
from oodbench.errors import UserError
from oodbench.leaderboard.build import read_leaderboard
from oodbench.measures.evaluation import recompute
from oodbench.report.merging import texts_of
from oodbench.report.runpage import run_page
from oodbench.report.tables import render
from oodbench.results.columns import MEASURES, RECORD
from oodbench.runs.folder import WRITING
from oodbench.runs.options import RunOptions

TIMES = ["fit_seconds", "score_seconds"]
EVERY_KIND = [Confidence(), Brightness(), Distance(), Drawn()]


@pytest.fixture
def run(tiny: Path, store: Path, tmp_path: Path, one_cpu):
    """Return a function that runs the tiny benchmark inline, with the shared store."""

    def run_tiny(**options):
        defaults = {"store": store, "out": tmp_path / "run", "data": tmp_path / "data"}
        defaults |= {"detectors": EVERY_KIND, "engine": "inline", "device": "cpu"}
        if "id" not in options:
            defaults["benchmark"] = str(tiny)
        return oodbench.run(**{**defaults, **options})

    return run_tiny


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.drop(columns=TIMES).equals(other.drop(columns=TIMES))


def test_from_an_empty_store_every_image_is_passed_once_and_then_none(run, tmp_path: Path) -> None:
    first = run(store=tmp_path / "store")
    again = run(store=tmp_path / "store", out=tmp_path / "again")
    # 200 of each test set, 100 for calibration, and the rest of 1,201 training images but 100
    # that are held out
    assert first.info["images_forwarded"] == first.info["distinct_images"] == 3 * 200 + 1101
    assert first.info["jobs_reused"] == 0
    assert again.info["images_forwarded"] == again.info["jobs_run"] == 0
    assert again.info["distinct_images"] == first.info["distinct_images"]
    assert again.records.equals(first.records)
    assert again.scores().equals(first.scores())
    assert again.predictions().equals(first.predictions())


def test_images_that_several_classifiers_see_are_counted_once(run, tmp_path: Path) -> None:
    info = run(detectors=[Confidence()], store=tmp_path / "store", classifier_seeds=2).info
    assert info["distinct_images"] == 3 * 200 + 100
    assert info["images_forwarded"] == 2 * info["distinct_images"]
    assert info["images_forwarded_by_detectors"] == 0


class Perturbs(Confidence):
    """Calls the classifier twice for each image."""

    info = sample_info("perturbs")
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})

    def fit(self, train, context):
        return self.restore({}, context)

    def restore(self, state, context):
        self.classifier = context.classifier
        return self

    def score(self, batch):
        noisy = batch.inputs + 0.01
        return (self.classifier(noisy) - self.classifier(batch.inputs)).norm(dim=1)


def test_passes_that_detectors_make_are_counted_apart(run, tmp_path: Path) -> None:
    info = run(detectors=[Perturbs()], store=tmp_path / "store").info
    assert info["distinct_images"] == info["images_forwarded"] == 3 * 200 + 100
    assert info["images_forwarded_by_detectors"] == 2 * (3 * 200 + 100)
    assert info["images_forwarded_by_probes"] == 2 * 256


def test_detectors_read_layers_in_the_pass_that_yields_logits(run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    finished = run(detectors=[LayerMeans(), Distance()], store=store)
    assert finished.info["images_forwarded"] == finished.info["distinct_images"] == 3 * 200 + 1101
    assert finished.info["images_forwarded_by_detectors"] == 0
    assert finished.info["costs"]["layer-means"]["forward_passes"] == 1
    layers = "group1 (4x8x8), group2 (4x4x4), group3 (4x2x2), group4 (4x1x1)"
    expected = f"Layers that the classifier names: {layers}."
    assert finished.info["deviations"]["layer-means"] == expected
    again = run(detectors=[LayerMeans(sign=-1.0), Distance()], store=store, out=tmp_path / "again")
    assert again.info["images_forwarded"] == 0
    more = run(detectors=[LayerMeans(scale=2.0)], store=store, out=tmp_path / "more")
    assert more.info["images_forwarded"] == 3 * 200 + 1101


def test_a_detector_that_makes_nothing_of_layers_fails_its_rows_alone(run) -> None:
    finished = run(detectors=[FailsToReduce(), Distance()])
    status = finished.records.groupby("detector")["status"].unique()
    assert status["distance"].tolist() == ["ok"]
    assert status["fails-to-reduce"].tolist() == ["failed"]
    errors = finished.records["error"].dropna().unique()
    assert any("reduce layers of" in each and "ValueError: no idea" in each for each in errors)


class Remarking(Distance):
    """Says something of what it was fitted on."""

    info = sample_info("remarking")

    def remarks(self):
        return [f"Of {len(self.mean_)} features some are odd."]


def test_remarks_of_a_fit_are_shown_with_its_rows(run, tmp_path: Path) -> None:
    for out in ("first", "from the store"):
        made = run(detectors=[Remarking(), Confidence()], out=tmp_path / out, classifier_seeds=2)
        assert made.info["deviations"]["remarking"].count("features some are odd.") == 1
        assert "confidence" not in made.info["deviations"]
        assert "features some are odd." in (tmp_path / out / "table.md").read_text("utf-8")


class First(Confidence):
    """Scores by the first logit."""

    info = sample_info("first")

    def score(self, batch):
        return batch.logits[:, 0]


class Together(First):
    """Scores by the first logits of two classifiers."""

    info = sample_info("together")
    ensemble = True

    def fit(self, train, context):
        self.classes_ = train.num_classes
        self.width_ = next(iter(train)).logits.shape[1]
        return self

    def score(self, batch):
        return batch.logits[:, 0] + 1000 * batch.logits[:, self.classes_]

    def remarks(self):
        return [f"Of {self.width_} logits."]


def test_an_ensemble_scores_by_all_classifiers_in_the_rows_of_the_first(run) -> None:
    finished = run(detectors=[First(), Together()], classifier_seeds=[0, 2])
    assert finished.info["deviations"]["together"] == "Of 20 logits."
    scores = finished.scores()
    of_each = {
        seed: scores.query("detector == 'first' and classifier_seed == @seed")["score"].to_numpy()
        for seed in (0, 2)
    }
    together = scores.query("detector == 'together'")
    assert set(together["classifier_seed"]) == {0}
    np.testing.assert_allclose(together["score"], of_each[0] + 1000 * of_each[2], rtol=1e-6)
    rows = finished.records.query("ood_dataset == ''").set_index(["detector", "classifier_seed"])
    assert rows["status"].tolist() == ["ok"] * 3
    accuracies = rows["id_accuracy"]
    assert accuracies["together", 0] not in (accuracies["first", 0], accuracies["first", 2])


def test_without_fitting_no_training_image_but_those_for_calibration_is_passed(run) -> None:
    info = run(detectors=[Confidence(), Brightness()]).info
    assert info["distinct_images"] == 3 * 200 + 100


def test_records_have_a_row_for_the_id_set_and_each_ood_set(run) -> None:
    records = run().records
    assert list(records.columns) == list(RECORD)
    rows = records[["id_dataset", "ood_dataset", "detector", "classifier"]].to_numpy().tolist()
    assert rows == [
        ["Digits", ood, detector.info.name, "preact-resnet"]
        for detector in EVERY_KIND
        for ood in ("", "Uniform", "PhotoPatches-bw")
    ]
    assert (records["status"] == "ok").all()
    assert (records["error"] == "").all()
    assert (records["n_id"] == 200).all()
    assert records["n_ood"].tolist() == [0, 200, 200] * 4
    ood = records[records["ood_dataset"] != ""]
    assert ood[MEASURES].notna().all(axis=None)
    fractions = [name for name in MEASURES if not name.startswith("threshold")]
    assert ood[fractions].apply(lambda column: column.between(0, 1)).all(axis=None)
    assert records["seed"].isna().tolist() == [True] * 9 + [False] * 3


def test_every_figure_follows_from_the_scores(run) -> None:
    finished = run(seeds=2)
    again = recompute(finished.scores(), finished.predictions())
    assert same(again, finished.records)


def test_scores_are_those_of_every_image(run) -> None:
    scores = run(detectors=[Confidence()]).scores()
    counts = scores.groupby(["dataset", "split"], observed=True).size().to_dict()
    assert counts == {
        ("Digits", "calibration"): 100,
        ("Digits", "test"): 200,
        ("PhotoPatches-bw", "test"): 200,
        ("Uniform", "test"): 200,
    }
    test = scores[(scores["dataset"] == "Digits") & (scores["split"] == "test")]
    assert test["index"].is_unique
    assert test["index"].between(0, 595).all()
    assert scores["score"].dtype == np.float32


def test_predictions_are_those_of_the_classifier(run) -> None:
    finished = run(detectors=[Confidence()])
    own = finished.predictions().query("dataset == 'Digits' and split == 'test'")
    accuracy = (own["label"] == own["prediction"]).mean()
    assert finished.records["id_accuracy"].tolist() == pytest.approx([accuracy] * 3)
    assert own["prediction"].between(0, 9).all()


def test_run_json_says_what_made_the_run(run) -> None:
    info = run(parameters={"preact-resnet": {"width": "4"}}).info
    assert info["benchmark"] == "tiny"
    assert info["request"]["classifier"] == {"preact-resnet": {"width": 4, "epochs": 1, "shift": 2}}
    assert info["request"]["detectors"]["brightness"] == {"scale": 1.0}
    assert info["request"]["seeds"] == [0]
    assert {"digits", "preact-resnet", "uniform"} <= set(info["plugins"])
    assert {"torch", "numpy", "oodbench"} <= set(info["versions"])
    assert info["hardware"]["cpus"] >= 1
    assert info["missing"] == info["broken"] == info["failures"] == {}
    assert info["engine"] == "inline"
    assert info["wall_seconds"] > 0
    assert set(info["files"]) == {
        "records.csv",
        "scores.parquet",
        "predictions.parquet",
        "table.md",
        "table.csv",
    }


def test_run_json_names_every_artifact_that_was_used(run, store: Path) -> None:
    info = run(classifier_seeds=2).info
    assert len(info["jobs"]) >= info["jobs_run"] + info["jobs_reused"]
    assert {"prepare", "train", "extract", "score", "evaluate"} <= {
        place.partition("/")[0] for place in info["jobs"]
    }
    for place, title in info["jobs"].items():
        manifest = json.loads((store / place / "artifact.json").read_text())
        assert manifest["meta"]["title"] == title


def test_a_run_from_the_store_says_as_much_of_what_made_it(run) -> None:
    first, again = run().info, run().info
    assert again["jobs_run"] == 0
    for name in ("jobs", "shipped", "costs", "distinct_images", "artifacts", "notes"):
        assert again[name] == first[name], name


def test_a_run_from_the_store_names_the_weights_that_shipped(run, tmp_path: Path) -> None:
    asked = {"id": "digits", "detectors": ["msp"], "ood": ["uniform"], "images": 50}
    first, again = (run(**asked, store=tmp_path / "store").info for _ in range(2))
    assert first["shipped"].keys() == {"train preact-resnet (seed 0)"}
    assert again["jobs_run"] == 0
    assert again["shipped"] == first["shipped"]


def test_an_extraction_that_was_damaged_since_costs_its_count_alone(run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = run(store=store)
    rest = next(place for place, title in first.info["jobs"].items() if "(rest)" in title)
    (store / rest / "positions.npy").unlink()
    again = run(store=store)
    assert again.records.equals(first.records)
    assert again.info["distinct_images"] < first.info["distinct_images"]


def test_tables_name_detectors_and_sets(run, tmp_path: Path) -> None:
    run()
    for name in ("table.md", "table.csv"):
        table = (tmp_path / "run" / name).read_text()
        assert "confidence" in table
        assert "PhotoPatches-bw" in table


def test_groups_have_means_in_run_json_tables_pages_and_leaderboard(
    run, tiny: Path, tmp_path: Path
) -> None:
    groups = '[groups]\nnear = ["photo-patches"]\nfar = ["uniform"]\nlost = ["svhn"]\n'
    path = tmp_path / "grouped.toml"
    path.write_text(
        f"{tiny.read_text()}\n{groups}".replace('"uniform", ', '"uniform", "svhn", ', 1)
    )
    finished = run(benchmark=str(path), download=False)
    assert finished.info["request"]["groups"] == {"near": ["PhotoPatches-bw"], "far": ["Uniform"]}
    for text in (
        (tmp_path / "run" / "table.md").read_text(),
        render(finished.records, format="terminal", **texts_of([finished])),
        run_page(finished),
    ):
        assert "near: mean over PhotoPatches-bw; far: mean over Uniform." in text
    board, *_ = read_leaderboard([tmp_path / "run"]).boards
    assert board.groups == {"near": ("PhotoPatches-bw",), "far": ("Uniform",)}


def test_more_detectors_leave_the_others_rows_as_they_were(run, tmp_path: Path) -> None:
    few = run(detectors=[Brightness(), Drawn()], store=tmp_path / "store").records
    more = run(detectors=EVERY_KIND, out=tmp_path / "more").records
    kept = more[more["detector"].isin(few["detector"])].reset_index(drop=True)
    assert same(kept, few)


def test_seeds_move_what_draws_and_nothing_else(run) -> None:
    records = run(detectors=[Distance(), Drawn()], seeds=[0, 3]).records
    assert records["seed"].tolist() == [pd.NA] * 3 + [0] * 3 + [3] * 3
    uniform = records[records["ood_dataset"] == "Uniform"].set_index("seed")["auroc"]
    assert uniform.loc[0] != uniform.loc[3]


def test_each_classifier_seed_trains_a_classifier(run) -> None:
    finished = run(detectors=[Confidence(), Brightness()], classifier_seeds=2)
    records = finished.records
    assert records["classifier_seed"].tolist() == [0] * 6 + [1] * 6
    aurocs = records.dropna(subset="auroc").groupby(["detector", "ood_dataset"])["auroc"].nunique()
    assert aurocs.to_dict() == {
        ("brightness", "PhotoPatches-bw"): 1,  # does not look at the classifier
        ("brightness", "Uniform"): 1,
        ("confidence", "PhotoPatches-bw"): 2,
        ("confidence", "Uniform"): 2,
    }
    assert same(recompute(finished.scores(), finished.predictions()), records)


def test_detectors_share_a_part(run) -> None:
    finished = run(detectors=[FirstOfTwo(), SecondOfTwo()])
    fits = [title for title in finished.info["jobs"].values() if title.startswith("fit ")]
    assert len([title for title in fits if "generator" in title]) == 1
    assert (finished.records["status"] == "ok").all()


def write_pictures(folder: Path, count: int, seed: int, size: int = 8) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        pixels = random.integers(0, 256, (size, size), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_a_folder_of_pictures_is_an_ood_set(run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "test", 12, seed=0, size=20)
    finished = run(detectors=[Confidence()], ood=["uniform", str(tmp_path / "test")])
    row = finished.records.set_index("ood_dataset").loc["test"]
    assert (row["n_id"], row["n_ood"], row["status"]) == (200, 12, "ok")
    fingerprints = finished.info["request"]["fingerprints"]
    assert list(fingerprints["ood"]) == ["Uniform", "test"]
    assert fingerprints["ood"]["test"] != fingerprints["test"]


def test_folders_of_pictures_are_an_id_set(run, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        for shade in ("dark", "light"):
            write_pictures(tmp_path / "mine" / split / shade, 20 - 10 * number, seed=number)
    finished = run(
        id=str(tmp_path / "mine"),
        ood=["uniform"],
        classifier="preact-resnet",
        parameters={"preact-resnet": {"epochs": 1, "width": 4}, "uniform": {"count": 30}},
        detectors=[Distance()],  # learns from features: all 40 images are for calibration as well
    )
    assert finished.records["id_dataset"].tolist() == ["mine", "mine"]
    assert finished.records["n_id"].tolist() == [20, 20]
    assert finished.records["n_ood"].tolist() == [0, 30]
    assert finished.info["distinct_images"] == 32 + 20 + 30  # 8 are held out
    assert (finished.records["status"] == "ok").all()


def test_unlabelled_id_test_images_have_no_accuracy(run, tmp_path: Path) -> None:
    for shade in ("dark", "light"):
        write_pictures(tmp_path / "mine" / "train" / shade, 20, seed=0)
    write_pictures(tmp_path / "mine" / "test", 10, seed=1)
    finished = run(
        id=str(tmp_path / "mine"),
        ood=["uniform"],
        classifier="preact-resnet",
        parameters={"preact-resnet": {"epochs": 1, "width": 4}, "uniform": {"count": 30}},
        detectors=[Brightness()],
    )
    assert (finished.records["status"] == "ok").all()
    assert finished.records[["id_accuracy", "oscr", "aurc"]].isna().all(axis=None)
    assert finished.records["auroc"].notna().tolist() == [False, True]
    assert "accuracy 0" not in (finished.directory / "table.md").read_text()


class Ended(Exception):
    """The work of a run begins."""


class Ends(Progress):
    """Ends a run before its first job."""

    def planned(self, jobs: int) -> None:
        raise Ended


def test_a_run_of_all_detectors_says_how_to_name_fewer(run, tmp_path: Path, capsys) -> None:
    def says(asked: dict[str, object], *, quiet: bool = False) -> str:
        with pytest.raises(Ended), Ends(quiet=quiet) as observer:
            run(observer=observer, store=tmp_path / "new", **asked)
        return capsys.readouterr().err

    default = {"detectors": RunOptions().detectors}
    (sentence,) = says(default).splitlines()
    assert re.fullmatch(
        r"all \d+ detectors are compared, with \d+ trainings to do; "
        r"name fewer, such as --detectors energy,msp",
        sentence,
    )
    assert sentence in (tmp_path / "run" / "run.log").read_text()
    assert says(default, quiet=True) == ""
    assert says({"detectors": ["all"]}) == says({"detectors": ["energy", "msp"]}) == ""


def test_a_set_that_cannot_be_had_is_named_and_the_rest_goes_on(run) -> None:
    finished = run(detectors=[Brightness()], ood=["svhn", "uniform"], download=False)
    assert finished.records["ood_dataset"].tolist() == ["", "Uniform"]
    assert "svhn-test.npz" in finished.info["missing"]["SVHN-bw"]


def test_another_requests_run_is_not_replaced_unless_forced(run, tmp_path: Path) -> None:
    run(detectors=[Brightness()])
    with pytest.raises(UserError, match="holds the run of another request"):
        run(detectors=[Confidence()])
    assert run(detectors=[Confidence()], force=True).records["detector"].unique() == ["confidence"]
    assert run(detectors=[Confidence()]).info["jobs_run"] == 0


def test_an_out_that_cannot_be_made_is_noticed_before_images_are_looked_for(run, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the run to .*: Not a directory"):
        run(out=tmp_path / "file" / "run", ood=["svhn"], download=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody writes to")
def test_an_out_that_cannot_be_written_to_is_noticed_before_images_are_looked_for(run) -> None:
    with pytest.raises(UserError, match="cannot write the run to '/proc/self'"):
        run(out=Path("/proc/self"), ood=["svhn"], download=False)


def test_a_request_that_is_refused_leaves_no_out_behind(run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no OOD set is available"):
        run(out=tmp_path / "new" / "run", ood=["svhn"], download=False)
    assert not (tmp_path / "new").exists()


def test_another_requests_run_that_ended_meanwhile_is_not_replaced(run, tmp_path: Path) -> None:
    other = run(detectors=[Brightness()], out=tmp_path / "other")

    class Ends(Progress):
        """Puts the other run into the folder of this one when its first job is done."""

        def finished(self, job, outcome) -> None:
            shutil.copytree(other.directory, tmp_path / "run", dirs_exist_ok=True)

    asked = {"detectors": [Confidence()], "store": tmp_path / "store"}
    with pytest.raises(UserError, match="holds the run of another request"):
        run(**asked, observer=Ends(quiet=True))
    assert oodbench.read_run(tmp_path / "run").info["key"] == other.info["key"]
    assert not (tmp_path / "run" / WRITING).exists()
    assert run(**asked, out=tmp_path / "elsewhere").info["jobs_run"] == 0


def test_a_damaged_artifact_is_made_again(run, tmp_path: Path) -> None:
    first = run(detectors=[Confidence()], store=tmp_path / "store")
    scores = next((tmp_path / "store" / "score").glob("*/scores.npy"))
    before = scores.read_bytes()
    scores.write_bytes(before[:-1] + b"\xff")
    again = run(detectors=[Confidence()], store=tmp_path / "store")
    assert again.info["jobs_run"] == 1
    assert scores.read_bytes() == before
    assert same(again.records, first.records)


def test_evaluations_that_were_exchanged_are_made_again(run, tmp_path: Path) -> None:
    first = run(detectors=[Confidence()], store=tmp_path / "store")
    one, other, _ = (tmp_path / "store" / "evaluate").iterdir()
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    again = run(detectors=[Confidence()], store=tmp_path / "store")
    assert again.info["jobs_run"] == 2
    assert same(again.records, first.records)


def test_torch_is_as_it_was_before(run, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    try:
        run(detectors=[Drawn()], store=tmp_path / "store")
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.rand(3), expected)
    finally:
        torch.set_num_threads(threads)


def test_an_unknown_engine_is_refused(run) -> None:
    with pytest.raises(UserError, match="unknown engine 'spark'; known: auto, inline, ray"):
        run(engine="spark")
