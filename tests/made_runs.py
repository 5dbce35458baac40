"""Make runs of random scores in seconds, complete in every file, for tests of what reads runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oodbench.measures.evaluation import recompute
from oodbench.results.run import Run, read_run, write_run

ID = "Digits"
SETS = ("Glyphs", "Uniform")
COUNTS = {ID: 60, "Glyphs": 50, "Uniform": 40}
CALIBRATION = 30
VALIDATION = 20


def images(name: str, split: str) -> np.ndarray:
    """Return how hard each image is, the same for all detectors, whatever the run."""
    count = CALIBRATION if split == "calibration" else COUNTS[name]
    seed = [sorted(COUNTS).index(name), split == "calibration"]
    return np.random.default_rng(seed).normal(0, 1, count)


def scores_of(
    detector: str,
    shift: float,
    *,
    classifier_seed: int = 0,
    seed: int | None = None,
    sets: Sequence[str] = SETS,
    noise: int = 0,
) -> pd.DataFrame:
    """Return scores whose OOD images lie ``shift`` above the ID images."""
    random = np.random.default_rng([len(detector), classifier_seed, 1000 + (seed or 0), noise])
    frames = []
    for name, split in ((ID, "calibration"), (ID, "test"), *((each, "test") for each in sets)):
        hardness = images(name, split)
        own = hardness + random.normal(0, 0.3, len(hardness)) + (0 if name == ID else shift)
        frames.append(
            pd.DataFrame(
                {
                    "detector": detector,
                    "classifier": "net",
                    "classifier_seed": classifier_seed,
                    "seed": pd.array([seed] * len(own), dtype="Int64"),
                    "dataset": name,
                    "split": split,
                    "index": np.arange(len(own)),
                    "score": own,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def predictions_of(classifier_seeds: Sequence[int], sets: Sequence[str] = SETS) -> pd.DataFrame:
    """Return predictions that are right in nine of ten cases."""
    frames = []
    for classifier_seed in classifier_seeds:
        for name, split in ((ID, "calibration"), (ID, "test"), *((each, "test") for each in sets)):
            index = np.arange(len(images(name, split)))
            labels = index % 5 if name == ID else np.full(len(index), -1)
            frames.append(
                pd.DataFrame(
                    {
                        "classifier": "net",
                        "classifier_seed": classifier_seed,
                        "dataset": name,
                        "split": split,
                        "index": index,
                        "label": labels,
                        "prediction": np.where(index % 10 == 9, 4 - index % 5, index % 5),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def info_of(detectors: Sequence[str], sets: Sequence[str] = SETS, **changes: Any) -> dict[str, Any]:
    """Return what ``run.json`` says."""
    request: dict[str, Any] = {
        "id": "digits",
        "ood": [name.lower() for name in sets],
        "detectors": {name: {"temperature": 1.0} for name in detectors},
        "classifier": {"net": {"width": 4}},
        "seeds": [0],
        "classifier_seeds": [0],
        "images_per_set": 60,
        "calibration_images": CALIBRATION,
        "validation_images": VALIDATION,
        "selection_seed": 0,
        "precision": "float32",
        "batch_size": 50,
        "fingerprints": {
            "train": "a" * 64,
            "test": "b" * 64,
            "ood": {name: f"{number}" * 64 for number, name in enumerate(sets)},
        },
    }
    request |= changes.pop("request", {})
    return {
        "key": "k",
        "benchmark": "made",
        "request": request,
        "missing": {},
        "notes": {},
        "deviations": {},
        "plugins": dict.fromkeys(detectors, "samples 1.0"),
        "versions": {"oodbench": "0.1.0", "torch": "2.9.0"},
        "hardware": {"cpu": "one"},
        **changes,
    }


def make_run(
    directory: Path,
    detectors: Mapping[str, float] | None = None,
    *,
    seeds: Sequence[int | None] = (None,),
    classifier_seeds: Sequence[int] = (0,),
    sets: Sequence[str] = SETS,
    noise: int = 0,
    records: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
    **info: Any,
) -> Run:
    """Write a run of detectors, given how far each tells OOD from ID images, and read it back."""
    detectors = {"energy": 1.5, "msp": 1.0} if detectors is None else detectors
    if scores is None:
        scores = pd.concat(
            [
                scores_of(name, shift, classifier_seed=one, seed=two, sets=sets, noise=noise)
                for name, shift in detectors.items()
                for one in classifier_seeds
                for two in seeds
            ],
            ignore_index=True,
        )
    if predictions is None:
        predictions = predictions_of(classifier_seeds, sets)
    if records is None:
        records = recompute(scores, predictions).assign(fit_seconds=2.0, score_seconds=0.01)
    drawn = {
        "seeds": [0 if seed is None else seed for seed in seeds],
        "classifier_seeds": list(classifier_seeds),
    }
    info["request"] = drawn | info.get("request", {})
    write_run(
        directory,
        records=records,
        scores=scores,
        predictions=predictions,
        info=info_of(list(detectors), sets, **info),
    )
    return read_run(directory)
