"""The schema of ``run.json``, checked wherever a run is read.

Runs come from elsewhere: what passes `parse_info` has the types, sizes and depth that are stated
here, so that whatever reads a run may rely on them. `json_schema` is the same for other programs.
Keys that are not described here are kept, as any JSON within the same bounds.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, NotRequired
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from oodbench.store.validation import LENGTH, check_values, describe

VALUES = 500_000
"""Values that a ``run.json`` may hold: one with 60 detectors on 9 sets has 2,000."""

_LENIENT = ConfigDict(extra="allow", strict=True)

Name = Annotated[str, Field(min_length=1, max_length=4_096)]
"""The name or title of something, or the path of images."""

Text = Annotated[str, Field(max_length=LENGTH)]
"""A sentence or more."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Quantity = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
"""Bytes, numbers, passes or seconds."""

Parameters = dict[Name, JsonValue]


def _address(text: str) -> str:
    urlsplit(text)  # raises ValueError
    return text


Address = Annotated[Text, AfterValidator(_address)]


class Fingerprints(TypedDict):
    """Digests of the data.

    Attributes:
        train: of the ID training images.
        test: of the ID test images.
        ood: of each OOD set, by its title.
    """

    train: Name
    test: Name
    ood: dict[Name, Name]


class Request(TypedDict):
    """What was compared.

    Attributes:
        id: name of the ID set.
        ood: names of the OOD sets.
        groups: titles of OOD sets by the name of a group.
        datasets: parameters that were set, by the name of a data set; older runs have none.
        detectors: parameters by the detector's name.
        classifier: parameters of the classifier, by its name.
        seeds: seeds of detectors.
        classifier_seeds: seeds of classifiers.
        images_per_set: images of each test set that are used at most.
        calibration_images: ID training images that thresholds are taken from.
        validation_images: ID training images at most that were held out; older runs have none.
        selection_seed: draws all of these.
        precision: of the networks.
        batch_size: images in a forward pass.
        fingerprints: of the data.
    """

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    id: Name
    ood: list[Name]
    groups: NotRequired[dict[Name, list[Name]]]
    datasets: NotRequired[dict[Name, Parameters]]
    detectors: dict[Name, Parameters]
    classifier: Annotated[dict[Name, Parameters], Field(min_length=1, max_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    classifier_seeds: Annotated[list[Seed], Field(min_length=1)]
    images_per_set: Count
    calibration_images: Count
    validation_images: NotRequired[Count]
    selection_seed: Seed
    precision: NotRequired[Name]
    batch_size: NotRequired[Count]
    fingerprints: Fingerprints


class Publication(TypedDict):
    """The publication that a detector implements, as it is cited, and its address."""

    citation: Text
    url: Address


class GivenScores(TypedDict):
    """Scores that were computed elsewhere: their file, and whether a larger one means ID or OOD."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    source: Text
    larger_is: Name


class Failed(TypedDict):
    """A job that failed: its title, and the traceback."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    job: Text
    trace: Text


class Costs(TypedDict):
    """What a detector cost; None where it was not measured. See `oodbench.runs.costs`."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    peak_memory: NotRequired[Quantity | None]
    peak_gpu_memory: NotRequired[Quantity | None]
    parameters: NotRequired[Quantity | None]
    forward_passes: NotRequired[Quantity | None]


class Fitted(TypedDict):
    """The artifact of something fitted, ``stage/key``, and those of its parts by role."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    artifact: Name
    parts: dict[Name, Fitted]


class FittedDetector(Fitted):
    """A fitted detector; ``seed`` is None where it draws nothing."""

    classifier_seed: Seed
    detector: Name
    seed: Seed | None


class Trained(TypedDict):
    """The artifact of a classifier."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    classifier_seed: Seed
    artifact: Name


class Output(Trained):
    """The artifact of what a classifier made of a set."""

    dataset: Name
    split: Name


class Artifacts(TypedDict):
    """Where a store has the networks of the run, see `oodbench.runs.networks`."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    train_images: Name
    test_images: NotRequired[Name]
    validation_images: NotRequired[Name]
    classifiers: list[Trained]
    outputs: list[Output]
    detectors: list[FittedDetector]


class Fold(TypedDict):
    """A fold of a run: what its request says in place of that of the run, and its networks."""

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    id: Name
    ood: list[Name]
    groups: dict[Name, list[Name]]
    fingerprints: Fingerprints
    artifacts: Artifacts


class RunInfo(TypedDict):
    """The content of ``run.json``. Older runs lack what is not required.

    Attributes:
        key: digest of the jobs that the figures come from.
        engine: that ran them.
        benchmark: name of the benchmark.
        request: what was compared.
        folds: the folds of the benchmark by name, in its order, if it has some.
        given: scores that the figures were computed from, where no detector was run.
        missing: why OOD sets were left out, by name.
        broken: why detectors could not be made, by name.
        unsuited: why detectors were left out of a run on arrays or without a classifier, by name.
        classes: names of classes by their labels, by the title of a set of some classes of another.
        notes: what is worth knowing of a set, by title.
        papers: publications by the detector's name.
        deviations: how detectors deviate from them, by name.
        shipped: what is known of shipped weights, by the job that they replaced.
        failures: jobs that failed, by artifact.
        hardware: what the machine has.
        versions: of packages, by name.
        plugins: the distribution of each plugin, by the plugin's name.
        costs: of each detector, by name.
        classifier_parameters: numbers that the classifier's weights are.
        jobs: titles of jobs by their artifact.
        artifacts: where networks are.
        jobs_run: jobs that were run.
        jobs_reused: jobs whose results were in the store.
        distinct_images: images that classifiers see.
        images_forwarded: images that passed through classifiers for all detectors together.
        images_forwarded_by_detectors: and when detectors called a classifier themselves.
        images_forwarded_by_probes: and when they did so to score some images again.
        wall_seconds: time that the run took.
        files: SHA-256 of the run's other files, by name.
    """

    __pydantic_config__ = _LENIENT  # type: ignore[misc]

    key: Name
    engine: NotRequired[Name]
    benchmark: Name
    request: Request
    folds: NotRequired[Annotated[dict[Name, Fold], Field(min_length=1)]]
    given: NotRequired[GivenScores]
    missing: dict[Name, Text]
    broken: NotRequired[dict[Name, Text]]
    unsuited: NotRequired[dict[Name, Text]]
    classes: NotRequired[dict[Name, list[Name]]]
    notes: dict[Name, Text]
    papers: NotRequired[dict[Name, Publication]]
    deviations: dict[Name, Text]
    shipped: NotRequired[dict[Name, Parameters]]
    failures: NotRequired[dict[Name, Failed]]
    hardware: NotRequired[Parameters]
    versions: NotRequired[dict[Name, Name]]
    plugins: dict[Name, Name]
    costs: NotRequired[dict[Name, Costs]]
    classifier_parameters: NotRequired[Count | None]
    jobs: NotRequired[dict[Name, Text]]
    artifacts: NotRequired[Artifacts]
    jobs_run: NotRequired[Count]
    jobs_reused: NotRequired[Count]
    distinct_images: NotRequired[Count]
    images_forwarded: NotRequired[Count]
    images_forwarded_by_detectors: NotRequired[Count]
    images_forwarded_by_probes: NotRequired[Count]
    wall_seconds: NotRequired[Quantity]
    files: dict[Name, Name]


def parse_info(content: bytes) -> dict[str, Any]:
    """Return what a ``run.json`` says.

    Raises:
        ValueError: if it is no JSON, or not as `RunInfo`; the message is one sentence.
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > VALUES:
        raise ValueError(f"it holds more than {VALUES:,} values")
    read: Any = from_json(content, allow_inf_nan=False)
    check_values(read)
    try:
        info: dict[str, Any] = _typed().validate_python(read)
    except ValidationError as error:
        raise ValueError(describe(error)) from error
    return info


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``run.json``."""
    return _typed().json_schema()


@cache
def _typed() -> TypeAdapter[Any]:
    return TypeAdapter(RunInfo)
