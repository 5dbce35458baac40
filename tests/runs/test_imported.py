"""Results that OpenOOD leaves become runs of their own, and nothing in them is unpickled."""

from __future__ import annotations

import csv
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

import oodbench
from oodbench.cli import main
from oodbench.errors import InvalidData, UserError
from oodbench.leaderboard.published import find_published

SETS = {"cifar10": (0, 300), "cifar100": (1, 200), "tin": (1, 90), "svhn": (2, 100)}

HEADER = ["dataset", "FPR@95", "AUROC", "AUPR_IN", "AUPR_OUT", "ACC"]


def arrays_of(name: str, detector: str, seed: int, shift: float) -> dict[str, np.ndarray]:
    """Return what OpenOOD saves of a set: confidence, predicted class, label."""
    count = SETS.get(name, (0, 80))[1]
    drawn = np.random.default_rng([seed, *name.encode()])
    labels = drawn.integers(0, 10, count)
    predictions = np.where(drawn.random(count) < 0.9, labels, (labels + 1) % 10)
    if detector == "react":  # changes the classifier
        predictions[0] = (predictions[0] + 1) % 10
    scores = np.random.default_rng([seed, *f"{name}{detector}".encode()]).normal(-shift, 1, count)
    return {
        "conf": scores.astype(np.float32),
        "pred": predictions,
        "label": labels if name.startswith("cifar10-") or name == "cifar10" else np.full(count, -1),
    }


def leave_test(root: Path, detector: str, seed: int = 0, scheme: str = "ood") -> Path:
    """Write the folder of a test in the manner of OpenOOD v1.5, and return it."""
    folder = root / f"cifar10_resnet18_32x32_test_ood_ood_{detector}_default/s{seed}/{scheme}"
    (folder / "scores").mkdir(parents=True)
    for name, (shift, _) in SETS.items():
        np.savez(folder / "scores" / f"{name}.npz", **arrays_of(name, detector, seed, shift))
    write_table(folder, {name: auroc(folder, name) for name in ("cifar100", "tin", "svhn")})
    return folder


def write_table(folder: Path, aurocs: dict[str, float]) -> None:
    """Write the table of a test: near OOD sets, their mean, far ones, their mean."""
    near = np.mean([aurocs["cifar100"], aurocs["tin"]])
    rows = {**aurocs, "farood": aurocs["svhn"]}
    order = ["cifar100", "tin", "nearood", "svhn", "farood"]
    with (folder / "ood.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for name in order:
            value = near if name == "nearood" else rows[name]
            writer.writerow([name, "10.00", f"{value:.2f}", "90.00", "80.00", "90.00"])


def auroc(folder: Path, name: str) -> float:
    known, unknown = (np.load(folder / "scores" / f"{each}.npz") for each in ("cifar10", name))
    is_ood = np.repeat([False, True], [len(known["conf"]), len(unknown["conf"])])
    return 100 * roc_auc_score(is_ood, -np.concatenate([known["conf"], unknown["conf"]]))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder of the tests of two detectors on three networks each."""
    for detector in ("msp", "react"):
        for seed in range(3):
            leave_test(tmp_path / "results", detector, seed)
    return tmp_path / "results"


def imported(folder: Path, out: Path, **options: object) -> oodbench.Run:
    (run,) = oodbench.import_openood(folder, out=out, **options).runs
    return run


def test_figures_equal_those_of_scikit_learn(results: Path, tmp_path: Path) -> None:
    run = imported(results, tmp_path / "runs")
    records = run.records[run.records["ood_dataset"] != ""]
    assert len(records) == 2 * 3 * 3
    for record in records.to_dict("records"):
        name = f"cifar10_resnet18_32x32_test_ood_ood_{record['detector']}_default"
        place = results / name / f"s{record['classifier_seed']}" / "ood" / "scores"
        known = np.load(place / "cifar10.npz")
        unknown = np.load(place / f"{record['ood_dataset']}.npz")
        scores = -np.concatenate([known["conf"], unknown["conf"]])
        is_ood = np.repeat([False, True], [len(known["conf"]), len(unknown["conf"])])
        false, true, _ = roc_curve(is_ood, scores, drop_intermediate=False)
        assert record["auroc"] == pytest.approx(roc_auc_score(is_ood, scores), abs=1e-12)
        assert record["aupr_ood"] == pytest.approx(average_precision_score(is_ood, scores))
        assert record["aupr_id"] == pytest.approx(average_precision_score(~is_ood, -scores))
        assert record["fpr95_ood"] == pytest.approx(false[np.argmax(true >= 0.95)])
        plain = np.load(results / name.replace("react", "msp") / place.relative_to(results / name)
                        / "cifar10.npz")  # fmt: skip
        assert record["id_accuracy"] == np.mean(plain["pred"] == plain["label"])
        assert record["oscr"] <= record["id_accuracy"]


def test_names_seeds_and_groups_are_those_of_openood(results: Path, tmp_path: Path) -> None:
    run = imported(results, tmp_path / "runs")
    assert run.directory == tmp_path / "runs" / "cifar10-resnet18-32x32-ood"
    assert set(run.records["detector"]) == {"msp", "react"}
    assert set(run.records["id_dataset"]) == {"cifar10"}
    assert set(run.records["classifier"]) == {"resnet18_32x32"}
    assert sorted(run.records["classifier_seed"].unique()) == [0, 1, 2]
    assert run.info["request"]["groups"] == {"near": ["cifar100", "tin"], "far": ["svhn"]}
    assert run.info["given"] == {"source": "OpenOOD, results", "larger_is": "id"}
    assert "near" in (run.directory / "table.md").read_text(encoding="utf-8")


def test_a_detector_that_predicts_otherwise_is_named(results: Path, tmp_path: Path) -> None:
    run = imported(results, tmp_path / "runs")
    assert list(run.info["deviations"]) == ["react"]
    assert "other classes than msp for 12 inputs" in run.info["deviations"]["react"]


def test_a_table_that_is_not_of_the_scores_is_noted(results: Path, tmp_path: Path) -> None:
    assert "svhn" not in imported(results, tmp_path / "runs").info["notes"]
    folder = next(results.glob("*msp*")) / "s1" / "ood"
    own = {name: auroc(folder, name) for name in ("cifar100", "tin", "svhn")}
    write_table(folder, own | {"svhn": 12.34})
    notes = imported(results, tmp_path / "other").info["notes"]
    assert notes["svhn"] == (
        f"the table of msp has AUROC 12.34, where its scores give {own['svhn']:.2f}"
    )


def test_images_with_a_shift_count_as_id_in_full_spectrum_tests(tmp_path: Path) -> None:
    for scheme in ("ood", "fsood"):
        folder = leave_test(tmp_path / "results", "msp", scheme=scheme)
        shifted = arrays_of("cifar10-c", "msp", 0, 0.5)
        np.savez(folder / "scores" / "cifar10-c.npz", **shifted)
    runs = oodbench.import_openood(tmp_path / "results", out=tmp_path / "runs").runs
    by_set = {run.records["id_dataset"].iloc[0]: run for run in runs}
    assert set(by_set) == {"cifar10", "cifar10-fs"}
    assert set(by_set["cifar10"].records["n_id"].dropna()) == {300}
    assert "shift of covariates" in by_set["cifar10"].info["missing"]["cifar10-c"]
    assert set(by_set["cifar10-fs"].records["n_id"].dropna()) == {380}
    assert "full-spectrum" in by_set["cifar10-fs"].info["notes"]["cifar10-fs"]


def test_score_files_in_any_folder_are_read(tmp_path: Path) -> None:
    scores = leave_test(tmp_path / "results", "msp") / "scores"
    scores.rename(tmp_path / "mine")
    run = imported(tmp_path / "mine", tmp_path / "runs")
    assert run.directory.name == "cifar10-ood"
    assert set(run.records["detector"]) == {"mine"}
    assert set(run.records["classifier"]) == {"unknown"}
    for name in SETS:
        np.savez(tmp_path / "mine" / f"{name}.npz", **arrays_of("cifar10", "msp", 0, 0))
    with pytest.raises(UserError, match=r"several sets have labels .*; name it: --id NAME"):
        imported(tmp_path / "mine", tmp_path / "runs")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(results: Path, tmp_path: Path, capsys) -> None:
    sprung = tmp_path / "sprung"
    code = pickle.dumps(Trap(sprung))
    place = tmp_path / "networks" / "s0" / "scores"
    place.mkdir(parents=True)
    (place / "msp.pkl").write_bytes(code)
    assert main(f"import openood-results {tmp_path}/networks --out {tmp_path}/runs".split()) == 2
    assert "its 1 pickles of scores could run code" in capsys.readouterr().err
    line = f"import openood-results {tmp_path} --out {tmp_path}/runs"
    assert main(line.split()) == 0
    output = capsys.readouterr()
    assert "cifar10-resnet18-32x32-ood/" in output.out
    assert output.err.endswith("networks/s0/scores/msp.pkl\n")
    hidden = next(results.glob("*msp*")) / "s0" / "ood" / "scores" / "svhn.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": (100,)}
    )
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(hidden, "w", kind) as archive:
            for name in ("conf", "pred", "label"):
                archive.writestr(f"{name}.npy", header.getvalue() + code)
        with pytest.raises(InvalidData, match=r"svhn\.npz: damaged, or no npz file"):
            imported(results, tmp_path / "more")
    assert not sprung.exists()


def test_tables_without_scores_become_published_figures(tmp_path: Path, capsys) -> None:
    folder = leave_test(tmp_path / "results", "msp", seed=1)
    printed = auroc(folder, "svhn")
    for path in (folder / "scores").iterdir():
        path.unlink()
    summary = tmp_path / "results" / "cifar10_resnet18_32x32_base_e100_lr0.1_default" / "ood"
    summary.mkdir(parents=True)
    (summary / "ebo.csv").write_text(
        ",FPR@95,AUROC,AUPR_IN,AUPR_OUT,CCR_4,ACC\n"
        "svhn,27.89 ± 1.00,91.32 ± 0.12,97.00 ± 0.10,80.00 ± 0.10,1.00 ± 0.10,95.06 ± 0.30\n"
        "farood,27.89 ± 1.00,91.32 ± 0.12,97.00 ± 0.10,80.00 ± 0.10,1.00 ± 0.10,95.06 ± 0.30\n"
    )
    assert main(f"import openood-results {tmp_path}/results --out {tmp_path}/runs".split()) == 0
    assert "as published figures" in capsys.readouterr().out
    found = {(each.detector, each.measure): each for each in find_published([tmp_path / "runs"])}
    assert len(found) == 2 * 4
    assert found["ebo", "AUROC"].figures == {"svhn": ("91.32", "0.12"), "far": ("91.32", "0.12")}
    assert found["msp", "AUROC"].figures["svhn"] == (f"{printed:.2f}", "")
    assert found["msp", "AUROC"].id_dataset == "cifar10"
    assert "neither intervals nor paired tests" in found["msp", "AUROC"].protocol


def test_figures_of_other_tables_are_not_replaced_unasked(tmp_path: Path, capsys) -> None:
    for name, detector in (("one", "msp"), ("two", "ebo")):
        for path in (leave_test(tmp_path / name, detector) / "scores").iterdir():
            path.unlink()

    def type_in(folder: str, *more: str) -> int:
        words = ["import", "openood-results", str(tmp_path / folder), "--out", f"{tmp_path}/runs"]
        return main([*words, *more])

    assert [type_in("one"), type_in("one"), type_in("two")] == [0, 0, 2]
    assert "holds the figures of other tables" in capsys.readouterr().err
    assert {each.detector for each in find_published([tmp_path / "runs"])} == {"msp"}
    assert type_in("two", "--force") == 0
    assert {each.detector for each in find_published([tmp_path / "runs"])} == {"ebo"}


def test_the_spread_of_a_figure_may_follow_it_without_a_space(tmp_path: Path) -> None:
    folder = leave_test(tmp_path / "results", "msp")
    table = folder / "ood.csv"
    table.write_text(table.read_text().replace(f"{auroc(folder, 'svhn'):.2f}", "12.34±0.10"))
    notes = imported(tmp_path / "results", tmp_path / "runs").info["notes"]
    assert notes["svhn"].startswith("the table of msp has AUROC 12.34,")


def test_a_table_may_name_sets_that_are_left_out(tmp_path: Path) -> None:
    folder = leave_test(tmp_path / "results", "msp")
    np.savez(folder / "scores" / "cifar10-c.npz", **arrays_of("cifar10-c", "msp", 0, 0.5))
    with (folder / "ood.csv").open("a") as file:
        file.write("cifar10-c,10.00,50.00,90.00,80.00,90.00\n")
    run = imported(tmp_path / "results", tmp_path / "runs")
    assert "shift of covariates" in run.info["missing"]["cifar10-c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conf": np.ones(3), "label": np.ones(3, int)}, "no array named 'pred'"),
        ({"conf": np.ones((3, 1)), "pred": np.ones(3, int), "label": np.ones(3, int)}, "(3, 1)"),
        ({"conf": np.ones(3), "pred": np.ones(3), "label": np.ones(3, int)}, "pred is float64"),
        ({"conf": np.ones(0), "pred": np.ones(0, int), "label": np.ones(0, int)}, "no scores"),
        (
            {"conf": np.array([1, np.nan]), "pred": np.ones(2, int), "label": np.ones(2, int)},
            "svhn.npz: 1 of 2 values of conf are not finite",
        ),
        ({"feat_list": np.ones(3)}, "has no score files or tables of OpenOOD"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    content: dict[str, np.ndarray], message: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "results").mkdir()
    np.savez(tmp_path / "results" / "svhn.npz", **content)
    assert main(f"import openood-results {tmp_path}/results --out {tmp_path}/runs".split()) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_the_id_set_can_be_named(tmp_path: Path) -> None:
    scores = leave_test(tmp_path / "results", "msp") / "scores"
    with pytest.raises(UserError, match="no scores of 'svhn' with labels; sets with labels: cifar"):
        imported(scores, tmp_path / "runs", id_dataset="svhn")
    assert imported(scores, tmp_path / "runs", id_dataset="cifar10").records["n_id"].iloc[0] == 300
