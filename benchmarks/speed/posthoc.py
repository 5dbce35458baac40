"""Measure a run of all post-hoc detectors against pytorch-ood's evaluation of the same ones.

    python benchmarks/speed/posthoc.py [--id mnist] [--images 4000] [--json FILE]

Both ways are measured in one process, one after the other, with the same trained network, images,
batch size and number of threads, in float32:

run          `oodbench.run` with the inline engine, as in run.py: all but the trained classifier and
             the prepared images, which are in its store already.
pytorch-ood  each of its detectors for itself, as its documentation has it: made, fitted with a data
             loader over the ID training images, asked for scores with a data loader over the ID
             test images and each OOD set, which `OODMetrics` judges. It is spared some of what its
             users pay: its images are tensors of floats before the clock starts, the network is
             frozen, and no gradients are kept where none are needed.

What the scores of an image differ by is given relative to the score, or to the standard deviation
of the scores of the ID test images where that is larger. Gram draws which training images it holds
out, and pytorch-ood's OpenMax scores an image by the classes predicted in its batch: their
differences are shown and not judged. The eigenvectors of pytorch-ood's ViM, the logits of its GEN
and the pseudo-inverse of its pNML are taken in float64, as ours are, and its Mahalanobis distances
by the pseudo-inverse in float64 of a covariance that is divided by the number of images.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rival_posthoc
import torch
from common import Figures, machine, spread, write_figures
from run import Setting, count_threads, counting, set_up
from tabulate import tabulate

import oodbench
from oodbench.hardware import BATCH_SIZES
from oodbench.store.paths import DATA_VARIABLE

NOT_JUDGED = frozenset({"gram", "nac-ue", "openmax", "rankfeat", "temperature-scaling"})
"""Detectors whose scores are not determined by image, classifier and training images alone, or that
pytorch-ood computes otherwise than their authors."""


@dataclass(frozen=True)
class Compared:
    """How a detector did in both ways.

    Attributes:
        seconds: of its fit and scores in the run.
        seconds_pytorch_ood: of its fit and evaluation.
        score: largest relative difference between scores of an image.
        auroc: largest difference in AUROC on any OOD set.
    """

    seconds: float
    seconds_pytorch_ood: float
    score: float
    auroc: float


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = set_up(arguments, folder, arguments.detectors)
        figures, compared = measure(setting, arguments, folder)
    figures |= {
        "detectors": len(arguments.detectors),
        "ood_sets": len(setting.sets.ood_names),
        "id": arguments.id,
        "images_per_set": arguments.images,
        "precision": arguments.precision,
        "batch_size": arguments.batch_size,
        "threads": count_threads(),
        "repetitions": arguments.repetitions,
        **machine(),
    }
    show(figures, compared)
    write_figures(figures, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    usual = "mnist" if DATA_VARIABLE in os.environ else "digits"
    parser.add_argument(
        "--id",
        default=usual,
        help=f"benchmark (default: mnist where {DATA_VARIABLE} is set, else digits)",
    )
    parser.add_argument("--images", type=int, default=4000, help="of each test set at most")
    parser.add_argument(
        "--detectors",
        type=lambda text: text.split(","),
        default=list(rival_posthoc.DETECTORS),
        help="their names, with commas between them (default: all)",
    )
    parser.add_argument("--epochs", type=int, help="of the classifier (default: the benchmark's)")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZES["cpu"])
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--store", type=Path, help="keep the classifier and the images here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.set_defaults(precision="float32")
    arguments = parser.parse_args()
    unknown = set(arguments.detectors) - set(rival_posthoc.DETECTORS)
    if unknown:
        parser.error(f"no such detectors: {', '.join(sorted(unknown))}")
    return arguments


def measure(
    setting: Setting, arguments: argparse.Namespace, folder: Path
) -> tuple[Figures, dict[str, Compared]]:
    """Measure both ways; return the figures, and how each detector did the last time."""
    seconds: dict[str, list[float]] = {"run": [], "pytorch_ood": []}
    module = setting.network.module
    for number in itertools.count(1):
        setting.forget()
        torch.set_num_threads(count_threads())
        with counting(type(module)) as count:
            started = time.perf_counter()
            run = oodbench.run(**setting.request, out=folder / f"run-{number}")
            seconds["run"].append(time.perf_counter() - started)
        torch.set_num_threads(count_threads())
        started = time.perf_counter()
        theirs, passed = rival_posthoc.evaluate(
            arguments.detectors,
            setting.sets,
            module,
            num_classes=module.head.out_features,
            batch_size=arguments.batch_size,
        )
        seconds["pytorch_ood"].append(time.perf_counter() - started)
        if number == arguments.repetitions:
            break
    compared = compare(run, theirs)
    figures: Figures = {}
    for name, each in seconds.items():
        figures |= spread(name, each)
    judged = {name: each for name, each in compared.items() if name not in NOT_JUDGED}
    return figures | {
        "ratio": round(float(figures["seconds_pytorch_ood"]) / float(figures["seconds_run"]), 3),
        "images_forwarded": count(),
        "images_forwarded_pytorch_ood": passed,
        "distinct_images": setting.distinct_images,
        "largest_score_difference": max((each.score for each in judged.values()), default=0.0),
        "largest_auroc_difference": max((each.auroc for each in judged.values()), default=0.0),
        **{f"score_difference_{name}": each.score for name, each in compared.items()},
    }, compared


def compare(run: oodbench.Run, theirs: Mapping[str, rival_posthoc.Measured]) -> dict[str, Compared]:
    """Compare scores, AUROCs and times of each detector."""
    failed = run.records.loc[run.records["status"] != "ok", ["detector", "error"]]
    if len(failed):
        raise SystemExit(f"the run failed: {failed.drop_duplicates().to_dict('records')}")
    scores = run.scores()
    tested = scores[scores["split"] == "test"]
    return {
        name: _compare(
            run.records[run.records["detector"] == name],
            tested[tested["detector"] == name],
            measured,
        )
        for name, measured in theirs.items()
    }


def _compare(
    records: pd.DataFrame, scores: pd.DataFrame, measured: rival_posthoc.Measured
) -> Compared:
    """Compare one detector, by its records and scores in the run."""
    own = {name: part["score"].to_numpy() for name, part in scores.groupby("dataset", sort=False)}
    of_id = own[records["id_dataset"].iloc[0]]
    aurocs = records.set_index("ood_dataset")["auroc"]
    differences = [
        relative_difference(np.concatenate([of_id, own[name]]), found.numpy(), len(of_id))
        for name, found in measured.scores.items()
    ]
    return Compared(
        float(records["fit_seconds"].max() + records["score_seconds"].sum()),
        measured.seconds,
        max(differences),
        max(abs(aurocs[name] - float(each["AUROC"])) for name, each in measured.metrics.items()),
    )


def relative_difference(ours: np.ndarray, theirs: np.ndarray, inside: int) -> float:
    """Return the largest difference between scores (n,), of which the first are of ID images."""
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    scale = np.maximum(np.abs(theirs), theirs[:inside].std())
    return float((np.abs(ours - theirs) / scale).max())


def show(figures: Figures, compared: Mapping[str, Compared]) -> None:
    """Print the figures as tables."""
    rows = [
        [name, *(figures[f"seconds_{name}{end}"] for end in ("", "_min", "_max")), figures[count]]
        for name, count in (
            ("run", "images_forwarded"),
            ("pytorch_ood", "images_forwarded_pytorch_ood"),
        )
    ]
    headers = ["way", "median s", "min s", "max s", "images forwarded"]
    print(tabulate(rows, headers, floatfmt=".2f"), end="\n\n")
    apart = ("seconds_", "images_forwarded", "score_difference_")
    print(tabulate([pair for pair in figures.items() if not pair[0].startswith(apart)]))
    print()
    print(_table(compared))


def _table(compared: Mapping[str, Compared]) -> str:
    rows: Sequence[Sequence[object]] = [
        [
            name + (" (not judged)" if name in NOT_JUDGED else ""),
            f"{each.seconds:.2f}",
            f"{each.seconds_pytorch_ood:.2f}",
            f"{each.score:.1e}",
            f"{each.auroc:.1e}",
        ]
        for name, each in compared.items()
    ]
    headers = ["detector", "run s", "pytorch-ood s", "scores differ by", "AUROC differs by"]
    return tabulate(rows, headers, disable_numparse=True)


if __name__ == "__main__":
    main()
