"""The arguments of each kind of job; every value identifies itself in the key.

`oodbench.identity.keys.identify` says how: plain values by what they are, plugins by class,
parameters and code, sources and shipped weights by their bytes.
"""

from __future__ import annotations

from typing import TypedDict

from oodbench.contracts import Classifier, Detector, GeneratedDataset, Trainable
from oodbench.identity.pretrained import Weights
from oodbench.images.sources import Source


class Selection(TypedDict):
    """How images of a data set are selected, and fitted to the ID set.

    Attributes:
        shape: (c, h, w) of the ID set.
        num_classes: number of classes of the ID set.
        at_most: images that are used at most; None for all.
        selection_seed: draws them.
    """

    shape: tuple[int, int, int]
    num_classes: int
    at_most: int | None
    selection_seed: int


class PrepareSpec(Selection):
    """Arguments of the stages "prepare" and "rows"."""

    source: Source


class GenerateSpec(Selection):
    """Arguments of the stage "generate"; ``selection_seed`` draws the images that are made too."""

    dataset: GeneratedDataset
    precision: str


class TrainSpec(TypedDict):
    """Arguments of the stage "train"; ``weights`` are shipped ones that may fit."""

    classifier: Classifier
    weights: tuple[Weights, ...]
    seed: int
    precision: str


class Part(TypedDict):
    """Which prepared images pass: ``"all"``, the ``"calibration"`` images, or the ``"rest"``.

    These are all the arguments of the stage "listing".

    Attributes:
        part: one of these.
        count: number of calibration images.
        selection_seed: draws them.
        precision: of networks.
        batch_size: images in a forward pass.
    """

    part: str
    count: int
    selection_seed: int
    precision: str
    batch_size: int


class ExtractSpec(Part):
    """Arguments of the stage "extract"."""

    classifier: Classifier


class ReduceSpec(ExtractSpec):
    """Arguments of the stage "reduce".

    Attributes:
        trainable: the detector, with defaults for the parameters that `reduce` ignores.
        at_most: images that pass at most, balanced over the classes; None for all of the part.
    """

    trainable: Trainable
    at_most: int | None


class ArraysSpec(Part):
    """Arguments of the stage "arrays"; ``classifier`` has a head at most."""

    source: Source
    classifier: Classifier


class CombineSpec(TypedDict):
    """Arguments of the stage "combine": whether probabilities are averaged."""

    averaged: bool


class FitSpec(TypedDict):
    """Arguments of the stage "fit"; ``classifier`` is None for a fit that does not ask for it."""

    trainable: Trainable
    weights: tuple[Weights, ...]
    classifier: Classifier | None
    seed: int
    precision: str
    batch_size: int


class ScoreSpec(Part):
    """Arguments of the stage "score"; ``classifier`` as in a fit."""

    detector: Detector
    classifier: Classifier | None
    seed: int


class ProbeSpec(TypedDict):
    """Arguments of the stage "probe": those of the score jobs of all sets.

    Attributes:
        parts: the part of each set.
        network: the classifier whose layers the detector reads; None if it reads none.
        detector, classifier, seed, count, selection_seed, precision: as in `ScoreSpec`.
    """

    parts: list[str]
    network: Classifier | None
    detector: Detector
    classifier: Classifier | None
    seed: int
    count: int
    selection_seed: int
    precision: str


class EvaluateSpec(TypedDict):
    """Arguments of the stage "evaluate": none, all is in its inputs."""


Spec = (
    PrepareSpec
    | GenerateSpec
    | TrainSpec
    | ExtractSpec
    | ReduceSpec
    | ArraysSpec
    | Part
    | FitSpec
    | ScoreSpec
    | ProbeSpec
    | EvaluateSpec
)
