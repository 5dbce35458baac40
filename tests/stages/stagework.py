"""Run stages on a small problem: images of two classes, one dark, one bright."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from oodbench.contracts import Classifier, Dataset, ImageSet, Info, Need, Recipe
from oodbench.identity.pretrained import Weights
from oodbench.images.sources import Source
from oodbench.stages import Companion, Work
from oodbench.store.artifacts import Artifact, Store

SHAPE = (1, 6, 6)


class TwoClasses(Dataset):
    """Images whose brightness tells their class; ``offset`` darkens or brightens all."""

    info = Info(name="two-classes", summary="")
    shape = SHAPE
    num_classes = 2

    def __init__(self, *, count: int = 60, offset: int = 0) -> None:
        self.count = count
        self.offset = offset

    def load(self, root: Path, split: str) -> ImageSet:
        random = np.random.default_rng(len(split))
        labels = np.arange(self.count) % 2
        images = random.integers(0, 100, (self.count, 6, 6)) + 120 * labels[:, None, None]
        return ImageSet((images + self.offset).astype(np.uint8), labels, "a note")


class Network(nn.Module):
    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU())
        self.head = nn.Linear(width, num_classes)

    def features(self, x):
        return self.body(self.maps(x))

    def forward(self, x):
        return self.head(self.features(x))


class Small(Classifier):
    """A network with one hidden layer."""

    info = Info(name="small", summary="")

    def __init__(self, *, width: int = 8, epochs: int = 5, learning_rate: float = 0.1) -> None:
        self.width = width
        self.epochs = epochs
        self.learning_rate = learning_rate

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=self.epochs, batch_size=20, learning_rate=self.learning_rate)

    def build(self, shape, num_classes):
        return Network(self.width, num_classes)

    def layers(self, module):
        return {"maps": module.maps}


SHARED = {
    "classifier": Small(),
    "count": 20,
    "selection_seed": 0,
    "precision": "float32",
    "batch_size": 16,
}
"""Arguments of all passes of images through a classifier."""


def source(dataset: Dataset, split: str = "test") -> Source:
    return Source(dataset, split, Path(), None, "")


@dataclass
class Bench:
    """Runs stages one by one and keeps what they make and report.

    Attributes:
        store: where artifacts go.
        reports: what the last stage reported as progress: (done, total, figures).
        companions: what is done in the same pass.
    """

    store: Store
    reports: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)
    companions: list[Companion] = field(default_factory=list)
    _made: int = 0

    def run(self, stage: str, spec: Mapping[str, Any], **inputs: Artifact) -> Artifact:
        self.reports = []
        self._made += 1
        key = f"{self._made}"
        with self.store.create(stage, key) as draft:
            checkpoint = self.store.checkpoint(stage, key)
            work = Work(inputs, draft, "cpu", checkpoint, self._report, self.companions)
            importlib.import_module(f"oodbench.stages.{stage}").run(spec, work)
        return self.store.open(stage, key)

    def _report(self, done: int, total: int, **figures: float) -> None:
        self.reports.append((done, total, figures))

    def prepare(self, dataset: Dataset, split: str = "test", **spec: Any) -> Artifact:
        defaults = {"shape": SHAPE, "num_classes": 2, "at_most": None, "selection_seed": 0}
        return self.run("prepare", {**defaults, "source": source(dataset, split), **spec})

    def train(
        self,
        images: Artifact,
        classifier: Classifier | None = None,
        seed: int = 0,
        weights: tuple[Weights, ...] = (),
        **inputs: Artifact,
    ) -> Artifact:
        spec = {"classifier": classifier or Small(), "seed": seed, "precision": "float32"}
        return self.run("train", spec | {"weights": weights}, train=images, **inputs)

    def extract(
        self, images: Artifact, trained: Artifact, part: str = "all", **spec: Any
    ) -> Artifact:
        given = {**SHARED, "part": part, **spec}
        return self.run("extract", given, images=images, classifier=trained)

    def reduce(
        self,
        trainable: Any,
        images: Artifact,
        trained: Artifact,
        part: str = "all",
        at_most: int | None = None,
    ) -> Artifact:
        given = {**SHARED, "trainable": trainable, "part": part, "at_most": at_most}
        return self.run("reduce", given, images=images, classifier=trained)

    def fit(
        self, trainable: Any, seed: int = 0, weights: tuple[Weights, ...] = (), **inputs: Artifact
    ) -> Artifact:
        spec = {"trainable": trainable, "classifier": None, "seed": seed, "precision": "float32"}
        spec["batch_size"] = 100
        spec["weights"] = weights
        if "classifier" in inputs:
            spec["classifier"] = Small()
        return self.run("fit", spec, **inputs)

    def score(
        self, detector: Any, part: str = "all", precision: str = "float32", **inputs: Artifact
    ) -> Artifact:
        spec = self._scoring(detector, precision, inputs)
        return self.run("score", spec | {"part": part}, **inputs)

    def probe(
        self,
        detector: Any,
        parts: Sequence[str],
        precision: str = "float32",
        **inputs: Artifact,
    ) -> Artifact:
        spec = self._scoring(detector, precision, inputs)
        network = Small() if Need.LAYERS in detector.needs else None
        return self.run("probe", spec | {"parts": parts, "network": network}, **inputs)

    def _scoring(
        self, detector: Any, precision: str, inputs: Mapping[str, Artifact]
    ) -> dict[str, Any]:
        return {
            "detector": copy.deepcopy(detector),  # as the engine does for each job
            "classifier": Small() if "classifier" in inputs else None,
            "count": 20,
            "selection_seed": 0,
            "seed": 0,
            "precision": precision,
            "batch_size": 16,
        }


def array(artifact: Artifact, name: str) -> np.ndarray:
    return np.load(artifact / f"{name}.npy")


def tensors(artifact: Artifact, name: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(artifact / f"{name}.safetensors")
