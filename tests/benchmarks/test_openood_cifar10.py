"""Published near and far AUROCs stand beside those of a run."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from feature_norms import NORMS
from openood_cifar10 import compared, page

PUBLISHED = pd.DataFrame(
    [
        ("CIFAR-10", name, group, "AUROC", percent)
        for name, near, far in [("msp", 88, 91), ("energy", 87, 92), ("knn", 90, 93), (None, 1, 2)]
        for group, percent in [("near", near), ("far", far)]
    ]
    + [("CIFAR-100", "msp", "near", "AUROC", 80)],
    columns=["id_dataset", "measured_by", "ood_dataset", "measure", "percent"],
)

SETS = ["CIFAR-100", "TinyImageNet", "SVHN", "LSUN"]

MEASURED = {
    "msp": (0.80, 0.84, 0.90, 0.1),
    "energy": (0.81, 0.85, 0.93, 0.2),
    "knn": (0.7, 0.7, 0.95, 0.3),
}


def records() -> pd.DataFrame:
    """Return records of three detectors on three sets, of two classifiers around a mean."""
    rows = [
        ("CIFAR-10", title, name, seed, auroc + change, 0.94)
        for name, values in {**MEASURED, "ours": (0.5, 0.5, 0.5, 0.5)}.items()
        for title, auroc in zip(SETS, values, strict=True)
        for seed, change in [(0, 0.01), (1, -0.01)]
    ]
    columns = ["id_dataset", "ood_dataset", "detector", "classifier_seed", "auroc", "id_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def test_means_are_over_the_sets_of_a_group_and_over_classifiers() -> None:
    table = compared(records(), PUBLISHED)
    assert list(table.index) == ["energy", "knn", "msp"]
    assert table["near measured"].to_dict() == pytest.approx(
        {"energy": 83.0, "knn": 70.0, "msp": 82.0}
    )
    assert table["far measured"].to_dict() == pytest.approx(
        {"energy": 93.0, "knn": 95.0, "msp": 90.0}
    )
    assert table["far published"].to_dict() == {"energy": 92, "knn": 93, "msp": 91}


def test_a_detector_without_one_of_the_sets_is_left_out() -> None:
    found = records()
    lost = (found["detector"] == "knn") & (found["ood_dataset"] == "CIFAR-100")
    found.loc[lost, "auroc"] = float("nan")
    assert list(compared(found, PUBLISHED).index) == ["energy", "msp"]


def test_a_page_has_correlations_ranks_and_reasons(tmp_path) -> None:
    records().to_csv(tmp_path / "records.csv", index=False)
    request = {"classifier": {"small-net": {}}, "images_per_set": 2000}
    info = {"request": request, "notes": {"SVHN": "grey"}}
    (tmp_path / "run.json").write_text(json.dumps(info))
    (tmp_path / NORMS).write_text("set,norm\nSVHN,6.86\n")
    lines = list(page(tmp_path, PUBLISHED, {"knn": "a reason"}))
    # published: knn, msp, energy; measured: energy, msp, knn
    assert "* near: Spearman's rank correlation over 3 detectors -1.00" in lines
    assert "* far: Spearman's rank correlation over 3 detectors 1.00" in lines
    assert "| `knn` | 90.00 | 70.00 | 1 / 3 | 93.00 | 95.00 | 1 / 1 |" in lines
    assert "* `knn` (-20.0, +2.0): a reason" in lines
    assert "* far: SVHN, without MNIST-resized, Textures, Places365" in lines
    assert "* SVHN: grey" in lines
    assert any(line.endswith("| SVHN  |   6.86 |") for line in lines)
    assert any("accuracy 94.00, 94.00 %, 2,000 images a set" in line for line in lines)
    with pytest.raises(KeyError, match="vim"):
        list(page(tmp_path, PUBLISHED, {"vim": "not run"}))
