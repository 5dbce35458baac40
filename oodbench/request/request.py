"""The request: what to compare, with everything found that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oodbench.contracts import Classifier, Detector
from oodbench.identity.pretrained import Weights
from oodbench.images.arrays import ArraySet
from oodbench.images.geometry import title_in
from oodbench.images.sources import Source
from oodbench.images.subsets import ClassSubset
from oodbench.request.user_weights import UserCheckpoints


@dataclass(frozen=True)
class Request:
    """What to compare, with everything found that it names.

    Attributes:
        train: images to train and fit on, but for the validation images.
        test: ID test images.
        ood: OOD test images.
        classifier: the classifier to protect.
        detectors: the detectors, by the name in the records.
        auxiliary: training images of data sets that detectors learn from besides the ID set, by
            the name that detectors call them.
        seeds: seeds of what detectors draw.
        classifier_seeds: seeds of the classifiers that are trained.
        images_per_set: test images of a set that are used at most.
        calibration_images: ID training images that thresholds are taken from.
        selection_seed: draws these images.
        precision: ``"bfloat16"`` or ``"float32"``, for networks.
        batch_size: images in a forward pass.
        cpus: CPUs of the machine.
        gpus: GPUs to use; 0 computes on the CPU.
        weights: shipped weights to take in place of training, by the key of what was trained.
        validation: ID images that nothing is trained on, for fits that ask for some; None if there
            are none.
        fold: which fold of a benchmark it is; empty without folds.
    """

    train: Source
    test: Source
    ood: Sequence[Source]
    classifier: Classifier
    detectors: Mapping[str, Detector]
    auxiliary: Mapping[str, Source] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    classifier_seeds: Sequence[int] = (0,)
    images_per_set: int = 10_000
    calibration_images: int = 1_000
    selection_seed: int = 0
    precision: str = "float32"
    batch_size: int = 500
    cpus: int = 1
    gpus: int = 0
    weights: Mapping[str, tuple[Weights, ...]] = field(default_factory=dict)
    validation: Source | None = None
    fold: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the geometry of the ID data set, which all images are fitted to."""
        return self.train.dataset.shape

    @property
    def on_arrays(self) -> bool:
        """Return whether features and logits from elsewhere take the place of images."""
        return isinstance(self.train.dataset, ArraySet)

    def classifier_of(self, seed: int) -> Classifier:
        """Return the classifier of a classifier seed, which may have weights of its own.

        Raises:
            UserError: if there are weights of other seeds alone.
        """
        if isinstance(self.classifier, UserCheckpoints):
            return self.classifier.of_seed(seed)
        return self.classifier

    def titles(self) -> list[str]:
        """Return the titles of the data sets: the ID set, then the OOD sets."""
        ood = (title_in(source.dataset, self.shape) for source in self.ood)
        return [self.train.dataset.info.label, *ood]

    def classes(self) -> dict[str, list[str]]:
        """Return the names of the classes of sets that have some classes of another, by title."""
        sets = zip(self.titles(), (self.test, *self.ood), strict=True)
        return {
            title: list(source.dataset.classes)
            for title, source in sets
            if isinstance(source.dataset, ClassSubset)
        }

    def fingerprints(self) -> dict[str, Any]:
        """Return the fingerprints of the images: of training, test, and OOD sets by title."""
        ood = zip(self.titles()[1:], self.ood, strict=True)
        return {
            "train": self.train.fingerprint,
            "test": self.test.fingerprint,
            "ood": {title: source.fingerprint for title, source in ood},
        }

    def describe_images(self) -> dict[str, str]:
        """Return a description of a user's own images, by set."""
        id_title, *titles = self.titles()
        names = [f"{id_title} (train)", f"{id_title} (test)", *titles]
        found = zip(names, (self.train, self.test, *self.ood), strict=True)
        return {name: text for name, source in found if (text := source.describe())}
