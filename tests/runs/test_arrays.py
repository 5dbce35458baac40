"""Features and logits that were computed elsewhere take the place of images."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sample_detectors import Brightness, Distance
from sklearn.datasets import load_breast_cancer

import oodbench
from oodbench.cli import main
from oodbench.contracts import Batch, Detector, Info, Need
from oodbench.errors import InvalidData, UserError
from oodbench.images.array_files import read_arrays, write_arrays
from oodbench.registry.lookup import load_registry
from oodbench.results.columns import MEASURES

FEW = ["msp", "react", "react+knn", "vim", "rmd", "openmax", "gradnorm", "odin", "isolation-forest"]


def made(ood: float = 3.0) -> dict[str, dict[str, np.ndarray]]:
    """Return sets of two classes with features, logits and labels; and the head."""
    random = np.random.default_rng(0)
    weight, bias = random.normal(0, 1, (2, 6)).astype(np.float32), np.array([0.5, -1], np.float32)

    def rows(count: int, shift: float) -> dict[str, np.ndarray]:
        features = random.normal(shift, 1, (count, 6)).astype(np.float32)
        logits = features @ weight.T + bias
        return {"features": features, "logits": logits, "labels": logits.argmax(1)}

    sets = {"id-train": rows(300, 0), "id-test": rows(120, 0), "ood-far": rows(90, ood)}
    return sets | {"head": {"weight": weight, "bias": bias}}


def write(
    folder: Path, sets: dict[str, dict[str, np.ndarray]], suffix: str = "safetensors"
) -> Path:
    """Write sets as files of a folder."""
    folder.mkdir()
    for name, arrays in sets.items():
        path = folder / f"{name}.{suffix}"
        if suffix == "safetensors":
            write_arrays(path, arrays)
        elif suffix == "npz":
            np.savez(path, **arrays)
        elif suffix == "packed":
            np.savez_compressed(path.with_suffix(".npz"), **arrays)
        else:
            pd.DataFrame({key: list(values) for key, values in arrays.items()}).to_parquet(path)
    return folder


@pytest.fixture
def run(tmp_path: Path, store: Path, one_cpu):
    """Return a function that runs detectors on arrays, inline."""

    def run_arrays(arrays: object, **options: object) -> oodbench.Run:
        defaults = {"detectors": ["msp", "knn", "vim"], "engine": "inline", "device": "cpu"}
        defaults |= {"store": store, "out": tmp_path / "run"}
        return oodbench.run(arrays=arrays, **{**defaults, **options})

    return run_arrays


@pytest.mark.filterwarnings("ignore::UserWarning")  # of scikit-learn's, on few features
@pytest.mark.parametrize(
    ("detectors", "least"),
    [(FEW, 8), pytest.param(["all-posthoc", "all-classical"], 30, marks=pytest.mark.slow)],
)
def test_a_run_and_a_run_on_its_exported_arrays_agree(
    detectors, least, tiny: Path, store: Path, run, tmp_path: Path, capsys
) -> None:
    images = oodbench.run(
        benchmark=str(tiny),
        detectors=detectors,
        store=store,
        out=tmp_path / "images",
        engine="inline",
        device="cpu",
        precision="float32",
    )
    assert main(f"export {tmp_path}/images --arrays {tmp_path}/arrays --store {store}".split()) == 0
    assert capsys.readouterr().out == f"{tmp_path}/arrays\n"
    arrays = run(tmp_path / "arrays", detectors=detectors, out=tmp_path / "run")
    registry = load_registry()
    expected = images.records[~images.records["detector"].isin(arrays.info["unsuited"])]
    for name in expected["detector"].unique():
        detector = registry.detectors[name].create()
        assert not {Need.INPUTS} & (detector.needs | detector.needs_to_fit())
    assert len(expected["detector"].unique()) >= least
    key = ["detector", "ood_dataset", "seed"]
    pd.testing.assert_frame_equal(
        arrays.records[key].reset_index(drop=True), expected[key].reset_index(drop=True)
    )
    np.testing.assert_allclose(
        arrays.records[MEASURES].to_numpy(), expected[MEASURES].to_numpy(), rtol=0, atol=1e-6
    )
    kept = images.scores()
    kept = kept[kept["detector"].isin(arrays.records["detector"].unique())]
    np.testing.assert_allclose(arrays.scores()["score"], kept["score"], rtol=1e-6)
    assert (
        arrays.predictions()["prediction"].tolist() == images.predictions()["prediction"].tolist()
    )


@pytest.mark.parametrize("suffix", ["npz", "packed", "parquet"])
def test_every_kind_of_file_gives_the_same_records(suffix: str, run, tmp_path: Path) -> None:
    records = run(write(tmp_path / "a", made()), out=tmp_path / "first").records
    again = run(write(tmp_path / "b", made(), suffix), out=tmp_path / "again").records
    columns = [*MEASURES, "detector", "ood_dataset", "n_id", "n_ood"]
    pd.testing.assert_frame_equal(again[columns], records[columns])


def test_arrays_in_memory_are_run_too(run, tmp_path: Path) -> None:
    records = run(write(tmp_path / "a", made()), out=tmp_path / "first").records
    sets = made()
    sets["id-test"]["features"] = torch.from_numpy(sets["id-test"]["features"])
    sets["ood-far"]["logits"] = pd.DataFrame(sets["ood-far"]["logits"])
    again = run(sets, out=tmp_path / "again").records
    pd.testing.assert_frame_equal(again[MEASURES], records[MEASURES])


def test_a_head_is_fitted_where_features_and_logits_determine_it(run, tmp_path: Path) -> None:
    given = run(write(tmp_path / "a", made()), out=tmp_path / "given")
    sets = made()
    del sets["head"]
    fitted = run(write(tmp_path / "b", sets), out=tmp_path / "fitted")
    np.testing.assert_allclose(
        fitted.records[MEASURES].to_numpy(), given.records[MEASURES].to_numpy(), atol=1e-6
    )
    assert "the head: fitted by least squares, off by" in fitted.info["notes"]["ID"]


def test_arrays_of_a_run_on_arrays_are_exported_too(run, store: Path, tmp_path: Path) -> None:
    sets = made()
    del sets["head"]
    first = run(write(tmp_path / "a", sets), out=tmp_path / "first")
    line = f"export {first.directory} --arrays {tmp_path}/again --store {store}"
    assert main(line.split()) == 0
    again = run(tmp_path / "again", out=tmp_path / "second")
    assert "the head: given" in again.info["notes"]["ID"]
    pd.testing.assert_frame_equal(again.records[MEASURES], first.records[MEASURES])


def test_a_head_that_does_not_fit_is_not_used(run, tmp_path: Path) -> None:
    sets = made()
    del sets["head"]
    for arrays in sets.values():
        arrays["logits"] = arrays["logits"] ** 3
    info = run(write(tmp_path / "a", sets)).info
    assert "needs the classifier's head: there is no file of it, and" in info["unsuited"]["vim"]
    assert {*info["request"]["detectors"]} == {"msp", "knn"}
    sets["head"] = made()["head"]
    message = r"is not the head of these arrays: its logits differ from theirs by [\d,]+\.\d\d %"
    with pytest.raises(InvalidData, match=message):
        run(write(tmp_path / "b", sets), out=tmp_path / "other")


def test_logits_are_computed_from_features_and_head(run, tmp_path: Path) -> None:
    given = run(write(tmp_path / "a", made()), out=tmp_path / "given").records
    sets = made()
    for name in ("id-train", "id-test", "ood-far"):
        del sets[name]["logits"]
    records = run(write(tmp_path / "b", sets), out=tmp_path / "computed").records
    np.testing.assert_allclose(records[MEASURES], given[MEASURES], atol=1e-6)


@pytest.mark.parametrize(
    ("lacking", "left", "reason"),
    [
        ("logits", ["knn"], {"msp": "needs logits, which there are none of"}),
        ("features", ["msp"], {"knn": "needs features, which there are none of"}),
    ],
)
def test_detectors_that_need_more_are_named_with_the_reason(
    lacking: str, left: list[str], reason: dict[str, str], run, tmp_path: Path, capsys
) -> None:
    sets = made()
    del sets["head"]
    for arrays in sets.values():
        del arrays[lacking]
    folder, store = write(tmp_path / "a", sets), tmp_path / "store"
    line = f"run --arrays {folder} --detectors msp,knn,odin,ganad-oe --store {store}"
    assert main(f"{line} --out {tmp_path}/run --engine inline".split()) == 0
    found = oodbench.read_run(tmp_path / "run")
    assert found.records["detector"].unique().tolist() == left
    assert (found.records["status"] == "ok").all()
    assert found.info["unsuited"].items() >= reason.items()
    assert found.info["unsuited"]["odin"] == "needs inputs besides arrays"
    assert "left out: odin: needs inputs besides arrays" in capsys.readouterr().out
    assert found.predictions().empty == (lacking == "logits")


def test_no_suited_detector_is_an_error(run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no detector can run on these arrays: odin needs inputs"):
        run(write(tmp_path / "a", made()), detectors=["odin"])


def test_objects_of_detectors_run(run, tmp_path: Path) -> None:
    found = run(write(tmp_path / "a", made()), detectors=[Distance(), Brightness()])
    assert found.records["detector"].unique().tolist() == [Distance.info.name]
    assert [*found.info["unsuited"]] == [Brightness.info.name]


class Images(Detector):
    """Use a classifier that there is not."""

    info = Info(name="images", summary="Pass images.")
    needs = frozenset({Need.CLASSIFIER, Need.FEATURES})

    def fit(self, train, context):
        self.classifier = context.classifier
        return self

    def state(self):
        return {}

    def restore(self, state, context):
        self.classifier = context.classifier
        return self

    def score(self, batch: Batch) -> torch.Tensor:
        return self.classifier(torch.zeros(len(batch), 1, 1, 1))[:, 0]


def test_a_detector_that_passes_images_all_the_same_fails_alone(run, tmp_path: Path) -> None:
    records = run(write(tmp_path / "a", made()), detectors=[Images(), "msp"]).records
    failed = records[records["status"] == "failed"]
    assert failed["detector"].unique().tolist() == ["images"]
    assert "of which there are none" in failed["error"].iloc[0]


def test_a_definition_names_a_folder_relative_to_itself(run, tmp_path: Path) -> None:
    write(tmp_path / "data", made())
    shutil.copy(
        tmp_path / "data" / "ood-far.safetensors", tmp_path / "data" / "ood-left.safetensors"
    )
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nid = "Texts"\nood = ["far"]\nclassifier = "bert"\narrays = "data"\n'
        "calibration_images = 50\n[groups]\nsome = ['far']\n"
    )
    found = run(None, benchmark=path)
    assert found.records["id_dataset"].unique().tolist() == ["Texts"]
    assert found.records["ood_dataset"].unique().tolist() == ["", "far"]
    assert found.records["classifier"].unique().tolist() == ["bert"]
    assert (found.scores()["split"] == "calibration").sum() == 3 * 50
    assert found.info["request"]["groups"] == {"some": ["far"]}


def test_values_on_the_disk_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    for suffix in ("npz", "safetensors"):
        folder = write(tmp_path / suffix, made(), suffix)
        found = read_arrays(folder / f"id-train.{suffix}", ("features", "labels"))
        assert isinstance(found["features"], np.memmap)
        np.testing.assert_array_equal(found["features"], made()["id-train"]["features"])
        np.testing.assert_array_equal(found["labels"], made()["id-train"]["labels"])


def broken(name: str, **changes: np.ndarray | None) -> dict[str, dict[str, np.ndarray]]:
    sets = made()
    sets[name] = {key: each for key, each in {**sets[name], **changes}.items() if each is not None}
    return sets


MISTAKES = {
    "has no id-test": {name: each for name, each in made().items() if name != "id-test"},
    "has no OOD set": {name: each for name, each in made().items() if name != "ood-far"},
    "neither features nor logits": broken("ood-far", features=None, logits=None),
    "120 features, 90 logits, 120 labels": broken("id-test", logits=np.ones((90, 2))),
    "a row has 5 features and 2 logits": broken("ood-far", features=np.ones((90, 5))),
    "arrays of the unknown name 'ood_near'; known are id-train, id-test, id-validation, head and "
    "ood-<name>; did you mean 'ood-near'?": {**made(), "ood_near": made()["ood-far"]},
    "unknown name 'ood-'; known are": {**made(), "ood-": made()["ood-far"]},
    "unknown name 'id_validation'": {**made(), "id_validation": made()["id-test"]},
    "ood-far.npz: there are no rows in it": {
        **made(),
        "ood-far": {name: rows[:0] for name, rows in made()["ood-far"].items()},
    },
    "0 features, 90 logits": broken("ood-far", features=np.ones((0, 6))),
    "features are float64 (1,), not numbers (n, d)": broken("ood-far", features=np.array(5.0)),
    "not numbers (n, d)": broken("ood-far", features=np.ones(90)),
    "labels are float64": broken("ood-far", labels=np.ones(90)),
    "a label is 7, and there are 2 classes": broken("id-test", labels=np.full(120, 7)),
    "a label is -2": broken("id-test", labels=np.full(120, -2)),
    "no array named 'bias'": broken("head", bias=None),
    "maps 5 features to 2 logits": broken("head", weight=np.ones((2, 5))),
    "is not the head of these arrays": broken("head", bias=np.array([50.0, 0])),
    "90 of 90 rows have a feature or a logit that is NaN": broken(
        "ood-far", features=np.full((90, 6), np.nan), logits=np.full((90, 2), np.nan)
    ),
}


@pytest.mark.parametrize(("message", "sets"), MISTAKES.items(), ids=MISTAKES)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    message: str, sets: dict[str, dict[str, np.ndarray]], tmp_path: Path, capsys
) -> None:
    folder = write(tmp_path / "a", sets, "npz")
    line = f"run --arrays {folder} --detectors msp --store {tmp_path}/store --engine inline --quiet"
    assert main(f"{line} --out {tmp_path}/run".split()) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def changed(part: str, name: str, value: float) -> dict[str, dict[str, np.ndarray]]:
    """Return sets of which one has a value that is not finite."""
    sets = made()
    sets[part][name] = sets[part][name].astype(np.float64)
    sets[part][name][0, 0] = value
    return sets


@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize(
    ("part", "name"), [("id-train", "logits"), ("id-test", "features"), ("ood-far", "logits")]
)
def test_a_value_that_is_not_finite_is_blamed_and_not_the_head(
    part: str, name: str, value: float, has_head: bool, tmp_path: Path, capsys
) -> None:
    sets = changed(part, name, value)
    if not has_head:
        del sets["head"]
    folder = write(tmp_path / "a", sets)
    line = f"run --arrays {folder} --detectors vim --store {tmp_path}/store --engine inline --quiet"
    assert main(f"{line} --out {tmp_path}/run".split()) == 2
    rows = {"id-train": 300, "id-test": 120, "ood-far": 90}[part]
    said = f"{part}.safetensors: 1 of {rows} rows have a feature or a logit that is NaN or infinite"
    assert said in capsys.readouterr().err


def alike(arrays: dict[str, np.ndarray], rows: slice) -> dict[str, np.ndarray]:
    """Return the first row as often as there are rows in a slice."""
    return {name: np.repeat(each[:1], len(each[rows]), axis=0) for name, each in arrays.items()}


@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("rows", [slice(1), slice(None)])
@pytest.mark.parametrize("ood", [0.0, 1000.0])
def test_a_head_fits_a_set_of_one_row_or_of_rows_all_alike(
    ood: float, rows: slice, has_head: bool, run, tmp_path: Path
) -> None:
    sets = made(ood)
    sets["ood-far"] = alike(sets["ood-far"], rows)
    sets["ood-far"]["logits"] = sets["ood-far"]["logits"].astype(np.float16)
    if not has_head:
        del sets["head"]
    found = run(write(tmp_path / "a", sets), detectors=["msp", "vim"])
    assert found.records["detector"].unique().tolist() == ["msp", "vim"]
    assert (found.records["status"] == "ok").all()


GIVEN = {
    "arrays['id-test']: has 120 features, 90 logits, 120 labels": broken(
        "id-test", logits=np.ones((90, 2))
    ),
    "arrays['ood-far']: a row has 5 features": broken("ood-far", features=np.ones((90, 5))),
    "arrays['id-test']: a label is 7": broken("id-test", labels=np.full(120, 7)),
    "arrays['head']: is not the head of these arrays": broken("head", bias=np.array([50.0, 0])),
    "arrays['ood-far']: there are no rows in it": broken(
        "ood-far", **{name: rows[:0] for name, rows in made()["ood-far"].items()}
    ),
    "arrays['id-train']: 300 of 300 rows have a feature": broken(
        "id-train", features=np.full((300, 6), np.nan)
    ),
    "arrays['ood-far']: features are <U1, not numbers": broken(
        "ood-far", features=np.full((90, 6), "x")
    ),
    "arrays['ood-far']: features are no array": broken("ood-far", features=[[1.0], [1.0, 2.0]]),
    "arrays['ood-far']: unknown array 'feature'": broken("ood-far", feature=np.ones((90, 6))),
    "arrays['ood-far'] is of type ndarray, not a mapping of": {**made(), "ood-far": np.ones(3)},
    "arrays['ood-a/b']: the name of an OOD set cannot": {**made(), "ood-a/b": made()["ood-far"]},
    "the mapping of arrays has no id-test": {
        name: each for name, each in made().items() if name != "id-test"
    },
    "the mapping of arrays has arrays of the unknown name 'ood_y'": {
        **made(),
        "ood_y": made()["ood-far"],
    },
}


@pytest.mark.parametrize(("message", "sets"), GIVEN.items(), ids=GIVEN)
def test_arrays_in_memory_are_named_as_they_were_given(
    message: str, sets: dict[str, dict[str, np.ndarray]], run
) -> None:
    with pytest.raises(UserError) as caught:
        run(sets)
    assert message in str(caught.value)
    assert tempfile.gettempdir() not in str(caught.value)


def test_other_files_may_lie_beside_arrays(run, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", made(), "npz")
    for name in ("README.md", "notes.csv", "._id-train.npz"):
        (folder / name).write_text("of no interest")
    (folder / "ood-far.npz").rename(folder / "ood-far.NPZ")
    assert run(folder).records["ood_dataset"].unique().tolist() == ["", "far"]


def test_a_damaged_file_and_a_wrong_folder_are_refused(run, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", made(), "npz")
    whole = (folder / "ood-far.npz").read_bytes()
    for damaged in (b"", whole[:300], whole[:-30], b"PK" + whole[2000:]):
        (folder / "ood-far.npz").write_bytes(damaged)
        with pytest.raises(InvalidData, match=r"ood-far\.npz: damaged"):
            run(folder)
    with pytest.raises(UserError, match="is not a folder of arrays"):
        run(tmp_path / "none")
    with pytest.raises(UserError, match="not both"):
        run(folder, id="digits")


def test_features_of_a_table_are_run(run, tmp_path: Path) -> None:
    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    random = np.random.default_rng(0)
    shuffled = random.permuted(features[450:], axis=0)
    found = run(
        {
            "id-train": {"features": features[:300], "labels": labels[:300]},
            "id-test": {"features": features[300:450], "labels": labels[300:450]},
            "ood-shuffled": {"features": shuffled},
        },
        detectors=["knn", "mahalanobis", "isolation-forest"],
    )
    assert (found.table() > 0.7).all(axis=None)
