"""Published and measured figures of one-class problems stand side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from one_class import page

TITLES = ("MNIST, class 0", "MNIST, class 1")


def published(**figures: float) -> pd.DataFrame:
    """Return what one publication prints of LSA, by the title of the fold."""
    return pd.DataFrame(
        [
            {
                "source": "Abati et al. 2019",
                "table": 1,
                "url": "https://arxiv.org/abs/1807.01653",
                "detector": "LSA",
                "ood_dataset": title,
                "percent": value,
                "benchmark": "mnist-one-class",
                "measured_by": "lsa",
            }
            for title, value in figures.items()
        ]
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run of two folds and two seeds, with one detector."""
    rows = [
        {
            "fold": str(fold),
            "id_dataset": title,
            "ood_dataset": ood,
            "detector": "lsa",
            "seed": seed,
            "auroc": "" if not ood else 0.9 + 0.05 * fold + 0.01 * seed,
            "fit_seconds": 10,
            "score_seconds": 2,
        }
        for fold, title in enumerate(TITLES)
        for seed in (0, 1)
        for ood in ("", "MNIST, all but one")
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "records.csv", index=False)
    info = {
        "benchmark": "mnist-one-class",
        "request": {"detectors": {"lsa": {"recipe": "fast"}}, "precision": "float32"},
        "hardware": {"cpus": 2},
        "deviations": {"lsa": "Half of the width."},
        "unsuited": {"msp": "needs logits"},
    }
    (tmp_path / "run.json").write_text(json.dumps(info))
    return tmp_path


def test_means_and_classes_stand_beside_what_was_published(run: Path) -> None:
    text = "\n".join(page([run], published(**{TITLES[0]: 99.3, "mean": 97.5})))
    assert "| `lsa` | fast | 97.5 (Abati et al. 2019) | 93.00 | -4.50 | 3.54 | 12 |" in text
    assert "| `lsa` | 90.50 | 95.50 |" in text
    assert "| LSA, Abati et al. 2019 | 99.3 | - |" in text
    assert "* `lsa`: Half of the width." in text
    assert "* `msp` needs logits" in text
    assert "* Abati et al. 2019, Table 1: https://arxiv.org/abs/1807.01653" in text


def test_what_nobody_published_is_measured_all_the_same(run: Path) -> None:
    text = "\n".join(page([run], published().reindex(columns=published(mean=1).columns)))
    assert "| `lsa` | fast | - | 93.00 | - | 3.54 | 12 |" in text
