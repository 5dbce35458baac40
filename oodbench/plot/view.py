"""The view of a run that figures get: its files, and what the store still has."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from oodbench.contracts import Batch, Detector, FeatureMap, Outputs, RunView, Trainable
from oodbench.contracts.figure import MeanRanks
from oodbench.errors import FigureUnavailable
from oodbench.hardware import BATCH_SIZES
from oodbench.images.geometry import select, to_geometry
from oodbench.measures.metrics import threshold
from oodbench.plot.features import map_features
from oodbench.registry.lookup import Registry
from oodbench.report.ranking import mean_ranks
from oodbench.results.run import Run
from oodbench.runs.restored import Fitted, Restorer
from oodbench.stages.finite import images_not_finite, refuse_outputs
from oodbench.stages.score import checked
from oodbench.store.artifacts import Store

MAPPED_IMAGES = 3_000
"""ID training images that the map of features is fitted on: enough to show every class."""


class StoredRun(RunView):
    """A run on disk and the artifacts of its store. The attributes are those of `RunView`.

    Args:
        run: the finished run.
        store: where its artifacts are.
        registry: the installed plugins.
        other: a second run to compare with.
    """

    def __init__(
        self, run: Run, store: Store, registry: Registry, other: RunView | None = None
    ) -> None:
        self.info: Mapping[str, Any] = run.info
        self.records: pd.DataFrame = run.records
        self.other = other
        self.id_dataset = str(run.records["id_dataset"].iloc[0])
        self.ood_datasets = [name for name in run.records["ood_dataset"].unique() if name]
        failed = set(run.records[run.records["status"] == "failed"]["detector"])
        named = run.records["detector"].unique()
        self.detectors = [name for name in named if name not in failed]
        self._run = run
        self._restorer = Restorer(run.info, store, registry)
        self._restored: dict[str, Trainable] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of the images."""
        return self._restorer.shape

    @property
    def num_classes(self) -> int:
        """Number of classes of the ID set."""
        return self._restorer.num_classes

    @functools.cached_property
    def _scores(self) -> pd.DataFrame:
        return self._run.scores()

    def scores(self, detector: str, dataset: str, split: str = "test") -> Sequence[np.ndarray]:
        """Return the scores of a detector, an array for each of its trainings."""
        frame = self._scores
        chosen = frame[
            (frame["detector"] == detector)
            & (frame["dataset"] == dataset)
            & (frame["split"] == split)
        ]
        if chosen.empty:
            raise FigureUnavailable(f"the run has no scores of {detector} on {dataset} ({split})")
        trainings = chosen.groupby(["classifier_seed", "seed"], sort=False, dropna=False)
        return [each["score"].to_numpy() for _, each in trainings]

    def threshold(self, detector: str, percent: int = 95) -> float:
        """Return the score that ``percent`` % of the calibration images do not exceed."""
        return threshold(percent, self.scores(detector, self.id_dataset, "calibration")[0])

    def outputs(self, dataset: str, split: str = "test") -> Outputs:
        """Return the classifier's outputs for a data set."""
        artifact = self._restorer.outputs(dataset, split)
        names = ("labels", "logits", "features")
        found = Outputs(*(np.load(artifact / f"{name}.npy") for name in names))
        if not found.logits.shape[1] and not found.features.shape[1]:
            raise FigureUnavailable("the run has no classifier, whose outputs this shows")
        return found

    def train_images(self, count: int) -> tuple[Tensor, np.ndarray]:
        """Return ID training images and their classes."""
        artifact = self._restorer.train_images()
        labels = np.load(artifact / "labels.npy")
        chosen = select(len(labels), count, seed=0)
        images = np.load(artifact / "images.npy", mmap_mode="r")[chosen]
        return torch.from_numpy(images).float() / 255, labels[chosen]

    def classify(self, images: Tensor) -> Outputs:
        """Pass images through the classifier."""
        batches = [self._passed(batch) for batch in _batches(images)]
        logits = torch.cat([logits for logits, _ in batches])
        features = torch.cat([features for _, features in batches])
        return Outputs(np.full(len(images), -1), logits.numpy(), features.numpy())

    def _passed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features of a batch.

        Raises:
            PluginError: if they are NaN or infinite.
        """
        module: Any = self._restorer.classifier
        with torch.inference_mode():
            features = module.features(images.contiguous(memory_format=torch.channels_last))
            logits = module.head(features)
        bad = int(images_not_finite(features, logits))
        refuse_outputs(bad, len(images), next(iter(self.info["request"]["classifier"])))
        return logits, features

    def score(self, detector: str, images: Tensor) -> np.ndarray:
        """Score images by a detector."""
        if detector not in self._restored:
            self._restored[detector] = self._restorer.restored_detector(detector)
        restored = self._restored[detector]
        assert isinstance(restored, Detector)
        scores = []
        for batch in _batches(images):
            logits, features = self._passed(batch)
            labels = torch.full((len(batch),), -1)
            given = Batch(labels, inputs=batch, logits=logits, features=features)
            with torch.no_grad():
                scores.append(checked(restored.score(given), given).double().numpy())
        return np.concatenate(scores)

    def users_of(self, role: str) -> Sequence[str]:
        """Return the detectors that have a part named ``role``."""
        return [name for name, _ in self._with_part(role)]

    def part(self, role: str) -> Trainable:
        """Return the fitted part of the first detector that has it."""
        key = f"part {role}"
        if key not in self._restored:
            fitted = next(self._with_part(role), None)
            if fitted is None:
                raise FigureUnavailable(f"no detector of the run has a part called {role}")
            self._restored[key] = self._restorer.restore(fitted[1])
        return self._restored[key]

    def _with_part(self, role: str) -> Iterator[tuple[str, Fitted]]:
        """Yield the detectors that have a part, with it; those that cannot be made are left out."""
        for name in self.detectors:
            with suppress(FigureUnavailable):
                part = self._restorer.detector(name).find(role)
                if part is not None:
                    yield name, part

    def fitted(self, images: Tensor) -> Tensor:
        """Return images of any geometry in that of the ID set."""
        if tuple(images.shape[1:]) == self.shape:
            return images
        pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, 3)
        shown = pixels.squeeze(3) if pixels.shape[3] == 1 else pixels
        return torch.from_numpy(to_geometry(shown.numpy(), self.shape)).float() / 255

    def mean_ranks(self) -> MeanRanks:
        """Return the ranks of the detectors over the OOD sets."""
        return mean_ranks(self.records)

    def feature_map(self) -> FeatureMap:
        """Return the UMAP of ID training images."""
        return self._feature_map

    @functools.cached_property
    def _feature_map(self) -> FeatureMap:
        images, labels = self.train_images(MAPPED_IMAGES)
        return map_features(self.classify(images).features, labels)


def _batches(images: Tensor) -> Iterator[Tensor]:
    yield from torch.split(images, BATCH_SIZES["cpu"])
