"""How large and how flat a classifier's features are on each set of a run.

    python benchmarks/reproduction/feature_norms.py RUN [--store DIR]

Writes ``feature_norms.csv`` to the run's folder, where ``openood_cifar10.py`` finds it: for each
set the mean norm of the features, the mean of their sum over that of the largest 5 % and 15 %, as
`ash` and `scale` take them, and the AUROC in percent of the norm alone, small for OOD images. All
by the first classifier.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from kept import stored_run
from sklearn.metrics import roc_auc_score

NORMS = "feature_norms.csv"
"""The file that is written."""


def main() -> None:
    """Measure and write."""
    run, folder = stored_run(__doc__)
    id_features = run.outputs(run.id_dataset).features
    rows = [
        {"set": title, **measured(run.outputs(title).features, id_features)}
        for title in (run.id_dataset, *run.ood_datasets)
    ]
    pd.DataFrame(rows).to_csv(folder / NORMS, index=False, float_format="%.4g")


def measured(features: np.ndarray, id_features: np.ndarray) -> dict[str, float]:
    """Return the columns of a set, by its features and those of the ID set, (n, d) floats."""
    norms, id_norms = (
        np.linalg.norm(each.astype(float), axis=1) for each in (features, id_features)
    )
    is_ood = np.repeat([0, 1], [len(id_norms), len(norms)])
    return {
        "norm": norms.mean(),
        "sum over largest 5 %": _over_largest(features, 0.05),
        "sum over largest 15 %": _over_largest(features, 0.15),
        "AUROC of the norm": 100 * roc_auc_score(is_ood, -np.concatenate([id_norms, norms])),
    }


def _over_largest(features: np.ndarray, share: float) -> float:
    ordered = np.sort(features.astype(float), axis=1)
    largest = ordered[:, -round(features.shape[1] * share) :].sum(axis=1)
    return float((ordered.sum(axis=1) / largest).mean())


if __name__ == "__main__":
    main()
