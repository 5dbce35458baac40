"""Requests on features and logits that were computed elsewhere: sets, head, and what they lack."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.contracts import (
    Benchmark,
    CustomClassifier,
    Detector,
    Info,
    Need,
    PluginError,
    Recipe,
    Trainable,
)
from oodbench.errors import InvalidData, UnknownName, UserError
from oodbench.identity.keys import Identified
from oodbench.images.array_files import place_of
from oodbench.images.arrays import (
    OOD,
    TEST,
    TRAIN,
    VALIDATION,
    Arrays,
    ArraySet,
    Folder,
    find_folder,
    open_set,
)
from oodbench.images.sources import Source
from oodbench.registry.benchmarks import load_benchmark
from oodbench.request.heads import find_head
from oodbench.store.paths import as_name, printable

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFINITION = "benchmark.toml"
"""The definition in a folder of arrays, if there is one."""

ID, CLASSIFIER = "ID", "unknown"
"""What tables call the ID set and the classifier where no definition names them."""


class GivenClassifier(CustomClassifier, Identified):
    """The classifier that features and logits came from, of which at most the head is known.

    Args:
        name: what tables call it.
        head: digest of the head's weight and bias; empty where it is unknown.
        features: d, of the head.
        logits: k, of the head.
    """

    info = Info(name="given", summary="A classifier of which at most the head is known.")

    def __init__(
        self, *, name: str = CLASSIFIER, head: str = "", features: int = 0, logits: int = 0
    ) -> None:
        self.name = name
        self.head = head
        self.features = features
        self.logits = logits
        self._layer: tuple[np.ndarray, np.ndarray] | None = None

    def with_head(self, weight: np.ndarray, bias: np.ndarray) -> GivenClassifier:
        """Return the classifier with its head: (k, d) and (k,) float32."""
        head = hashlib.sha256(weight.tobytes() + bias.tobytes()).hexdigest()
        logits, features = weight.shape
        made = GivenClassifier(name=self.name, head=head, features=features, logits=logits)
        made._layer = weight, bias
        return made

    @property
    def full_name(self) -> str:
        """Return what tables call it."""
        return printable(self.name)

    @property
    def recipe(self) -> Recipe:
        """Return a recipe without any training."""
        return Recipe(epochs=0)

    def identity(self) -> Any:
        """Return what identifies it: its head."""
        return {"given": self.head}

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a module with a head alone; its features cannot be computed."""
        from torch import nn

        class Head(nn.Module):
            def __init__(self, features: int, logits: int) -> None:
                super().__init__()
                self.head = nn.Linear(features, logits)

            def features(self, x: Tensor) -> Tensor:
                raise PluginError("passes images through the classifier, of which there are none")

            def forward(self, x: Tensor) -> Tensor:
                logits: Tensor = self.head(self.features(x))
                return logits

        return Head(self.features, self.logits)

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Put the head's weights into the module."""
        import torch

        assert self._layer is not None
        names = ("head.weight", "head.bias")
        module.load_state_dict(
            {name: torch.from_numpy(array) for name, array in zip(names, self._layer, strict=True)}
        )
        return True


@dataclass(frozen=True)
class Found:
    """What a folder of arrays gives to a request.

    Attributes:
        train: the ID training set.
        test: the ID test set.
        validation: ID data that was held out, if there is any.
        ood: the OOD sets.
        classifier: with its head, if that is known.
        available: what detectors can be given.
        head: how the head was found, or why not.
    """

    train: Source
    test: Source
    validation: Source | None
    ood: list[Source]
    classifier: GivenClassifier
    available: frozenset[Need]
    head: str


def define(folder: Path) -> Benchmark:
    """Return the benchmark that a folder of arrays defines, or one of all sets in it.

    Raises:
        UserError: if it is not such a folder, or its definition is malformed.
    """
    found = find_folder(folder)
    path = folder / DEFINITION
    if path.is_file():
        return dataclasses.replace(load_benchmark(path), arrays=str(folder))
    name = as_name(folder.resolve().name)
    ood = tuple(found.ood)
    return Benchmark(name=name, id=ID, ood=ood, classifier=CLASSIFIER, arrays=str(folder))


def find_arrays(benchmark: Benchmark) -> Found:
    """Return the sets of a benchmark on arrays, and the head of its classifier.

    Raises:
        UserError: if a set is missing.
        InvalidData: if a file is damaged, or the sets do not fit together.
    """
    folder = find_folder(Path(benchmark.arrays))
    for name in benchmark.ood:
        if name not in folder.ood:
            raise UnknownName(f"OOD set in '{folder.path}'", name, folder.ood)
    known = [part for part in (TRAIN, TEST, VALIDATION) if part in folder.sets]
    parts = [*known, *(f"{OOD}{name}" for name in benchmark.ood)]
    sets = {part: open_set(folder.sets[part]) for part in parts}
    _refuse_widths(folder, sets)
    head = find_head(folder, sets)
    features, logits = sets[TRAIN].widths
    num_classes = logits or (0 if head.bias is None else len(head.bias))
    num_classes = num_classes or int(sets[TRAIN].labels.max()) + 1
    for part in known:
        if (largest := int(sets[part].labels.max())) >= num_classes:
            raise InvalidData(
                f"{place_of(folder.sets[part])}: a label is {largest}, and there are {num_classes} "
                "classes"
            )
    paths = {part.removeprefix("id-"): folder.sets[part] for part in known}
    id_set = ArraySet(name=benchmark.id, paths=paths, num_classes=num_classes)
    sources = {split: id_set.source(split) for split in paths}
    ood = [
        ArraySet(name=name, paths={"test": folder.sets[f"{OOD}{name}"]}).source("test")
        for name in benchmark.ood
    ]
    classifier = GivenClassifier(name=benchmark.classifier)
    available = {Need.VALIDATION} if VALIDATION in known else set()
    if features:
        available.add(Need.FEATURES)
    if head.weight is not None and head.bias is not None:
        classifier = classifier.with_head(head.weight, head.bias)
        available.add(Need.CLASSIFIER)
    if logits or Need.CLASSIFIER in available:
        available.add(Need.LOGITS)
    return Found(
        sources["train"],
        sources["test"],
        sources.get("validation"),
        ood,
        classifier,
        frozenset(available),
        head.note,
    )


def why_unsuited(detector: Trainable, found: Found) -> str:
    """Return why a detector, or a part that it asks for, cannot run on arrays; "" if it can."""
    missing = (detector.needs | detector.needs_to_fit()) - found.available
    others = missing - {Need.FEATURES, Need.LOGITS, Need.CLASSIFIER, Need.VALIDATION}
    if others:
        return f"needs {' and '.join(sorted(each.value for each in others))} besides arrays"
    if detector.auxiliary() is not None:
        return "learns from auxiliary images"
    for need in (Need.FEATURES, Need.LOGITS):
        if need in missing:
            return f"needs {need.value}, which there are none of"
    if Need.VALIDATION in missing:
        return f"is fitted on validation data, and there is no {VALIDATION}"
    if missing:
        return f"needs the classifier's head: {found.head}"
    return next(filter(None, (why_unsuited(part, found) for part in detector.parts().values())), "")


def set_aside(
    detectors: Mapping[str, Detector], found: Found
) -> tuple[dict[str, Detector], dict[str, str]]:
    """Return the detectors that can run on arrays, and why the others cannot.

    Raises:
        UserError: if none can.
    """
    reasons = {name: why_unsuited(detector, found) for name, detector in detectors.items()}
    suited = {name: detector for name, detector in detectors.items() if not reasons[name]}
    unsuited = {name: reason for name, reason in reasons.items() if reason}
    if unsuited and not suited:
        texts = "; ".join(f"{name} {reason}" for name, reason in unsuited.items())
        raise UserError(f"no detector can run on these arrays: {texts}")
    return suited, unsuited


def _refuse_widths(folder: Folder, sets: Mapping[str, Arrays]) -> None:
    """Raise `InvalidData` unless all sets have the same arrays, of the same widths."""
    first = sets[TRAIN].widths
    for part, arrays in sets.items():
        if arrays.widths != first:
            said = [f"{d} features and {k} logits" for d, k in (arrays.widths, first)]
            raise InvalidData(
                f"{place_of(folder.sets[part])}: a row has {said[0]}, and one of {TRAIN} has "
                f"{said[1]}"
            )
