"""Score some images of all sets again, mixed, to see that a score is of one image.

A detector whose scores depend on the other images of a batch, or on those that it scored before,
separates sets by what a batch holds, since a batch holds images of one set. So a new object, that
scored nothing yet, scores images of all sets in one order drawn by seed, in batches of other sizes,
and what it returns is compared with the scores that the records are made of. A set that could not
be scored is left out.

Writes nothing but notes: ``probed``, the number of images; ``moved``, the number whose scores
differ by more than rounding; and ``forwarded``, the images that the detector passed through the
classifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from oodbench.contracts import Batch, Classifier, Detector, Need, PluginError
from oodbench.errors import describe
from oodbench.hardware import BATCH_SIZES
from oodbench.images.geometry import select
from oodbench.stages import Work
from oodbench.stages.fit import make_context, restore
from oodbench.stages.forwards import Forwards
from oodbench.stages.modules import load_classifier
from oodbench.stages.network import Network
from oodbench.stages.passing import GRADIENT_IMAGES, reduced, wants_gradients
from oodbench.stages.score import checked
from oodbench.stages.selection import positions_of
from oodbench.stages.stream import ArrayStream, Rows
from oodbench.store.artifacts import Artifact

if TYPE_CHECKING:
    from oodbench.plan.specs import ProbeSpec

IMAGES = 256
"""Images that are scored again, as many of each set; one of each where there are more sets."""

SIZES = (37, 1, 217)
"""Images of the batches, again and again, but no more than elsewhere: few batches, since some
detectors take long for each."""

STREAM = 3
"""Keeps these draws apart from others by the same seed."""


TOLERANCE = {"float32": 1e-3, "bfloat16": 3e-2}
"""How far a score may move, as a share of the interquartile range, by the precision of networks.

Which kernel computes a product depends on the size of the batch, and rounds in its own way: far
less than this. In bfloat16 an output has 8 bits, so that it moves by about 0.4 %.
"""

ROUNDING = 1e-5
"""How far it may move besides, as a share of the scores' size: a few dozen units of float32."""

SPARED = 0.01
"""Share of the images that may move farther: those that are as near to one class as to another."""


class _Set(NamedTuple):
    """What was drawn of a scored set.

    Attributes:
        artifacts: "images", "scores" and where it is needed "extract".
        rows: (m,) int64, places among its scores.
        positions: (m,) int64, places among its prepared images.
    """

    artifacts: Mapping[str, Artifact]
    rows: np.ndarray
    positions: np.ndarray


def run(spec: ProbeSpec, work: Work) -> None:
    """Score images again by ``spec["detector"]``, and compare.

    Raises:
        PluginError: if scores differ by more than rounding, or cannot be computed in mixed batches.
    """
    sets = list(_draw(spec, work.inputs))
    expected = _read(sets, "scores", "scores")
    seed = spec["selection_seed"] + (STREAM << 32)
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(expected))
    detector: Detector = spec["detector"]
    images = _images(sets)[order]
    outputs: dict[Need, Rows] = {
        need: Rows([_read(sets, "extract", need.value)], order)
        for need in (Need.LOGITS, Need.FEATURES)
        if need in detector.needs
    }
    passed = 0
    if spec["network"] is not None:
        rows, passed = _reduce(spec, spec["network"], images, work)
        outputs[Need.LAYERS] = Rows([rows])
    num_classes = sets[0].artifacts["images"].meta["num_classes"]
    stream = _stream(images, detector.needs, num_classes, outputs, work.device)
    context = make_context(spec, work, stream.shape, num_classes)
    forwards = Forwards(context._classifier)
    if "fit" in work.inputs:
        detector = restore(detector, work.inputs["fit"], context)
    sizes = _sizes(BATCH_SIZES[work.device])
    torch.manual_seed(spec["seed"])  # as when the images were scored for the first time
    found = np.concatenate([_score(detector, batch) for batch in stream.in_batches(sizes)])
    moved = _compare(found, expected[order], TOLERANCE[spec["precision"]])
    forwarded = forwards.images + passed
    work.draft.meta.update(probed=len(found), moved=moved, forwarded=forwarded)


def _draw(spec: ProbeSpec, inputs: Mapping[str, Artifact]) -> Iterator[_Set]:
    """Yield what is scored again of each set that was scored."""
    numbers = [number for number in range(len(spec["parts"])) if f"scores:{number}" in inputs]
    share = max(IMAGES // len(numbers), 1)
    for number in numbers:
        roles = [role for role in ("images", "extract", "scores") if f"{role}:{number}" in inputs]
        artifacts = {role: inputs[f"{role}:{number}"] for role in roles}
        images = _mapped(artifacts["images"], "images")
        part, count = spec["parts"][number], spec["count"]
        positions = positions_of(part, len(images), count, spec["selection_seed"])
        rows = select(len(positions), share, spec["selection_seed"] + (STREAM << 32) + number)
        yield _Set(artifacts, rows, positions[rows])


def _images(sets: Sequence[_Set]) -> np.ndarray:
    """Return the images that were drawn, those of one set after those of another."""
    arrays = [_mapped(each.artifacts["images"], "images") for each in sets]
    return np.concatenate([array[each.positions] for array, each in zip(arrays, sets, strict=True)])


def _reduce(
    spec: ProbeSpec, classifier: Classifier, images: np.ndarray, work: Work
) -> tuple[np.ndarray, int]:
    """Return what the detector makes of layers when images of all sets pass mixed: (n, r).

    And how many images passed.
    """
    module = load_classifier(classifier, work.inputs["classifier"], work.device)
    network = Network(module, work.device, spec["precision"])
    network.look_inside(classifier.layers(module), images.shape[1:])
    labels, needs = torch.full((len(images),), -1), frozenset({Need.INPUTS})
    found = []
    stream = ArrayStream(Rows([images]), labels, needs, 0, device=work.device)
    gradients = wants_gradients(spec["detector"])
    most = (GRADIENT_IMAGES if gradients else BATCH_SIZES)[work.device]
    for batch in stream.in_batches(_sizes(most)):
        inputs = batch.inputs.contiguous(memory_format=torch.channels_last)
        passed = network(inputs, gradients=gradients)
        found.append(reduced(spec["detector"], passed).cpu().numpy())
    return np.concatenate(found), network.forwarded


def _sizes(most: int) -> list[int]:
    return [min(size, most) for size in SIZES]


def _stream(
    images: np.ndarray,
    needs: frozenset[Need],
    num_classes: int,
    outputs: Mapping[Need, Rows],
    device: str,
) -> ArrayStream:
    """Return images without labels, with the classifier's outputs for them."""
    return ArrayStream(
        Rows([images]),
        torch.full((len(images),), -1),
        needs,
        num_classes,
        logits=outputs.get(Need.LOGITS),
        features=outputs.get(Need.FEATURES),
        reduced=outputs.get(Need.LAYERS),
        device=device,
    )


def _read(sets: Sequence[_Set], role: str, name: str) -> np.ndarray:
    """Return the rows that were drawn of an array that belongs to each set."""
    return np.concatenate([_mapped(each.artifacts[role], name)[each.rows] for each in sets])


def _mapped(artifact: Artifact, name: str) -> np.ndarray:
    found: np.ndarray = np.load(artifact / f"{name}.npy", mmap_mode="r")
    return found


def _score(detector: Detector, batch: Batch) -> np.ndarray:
    """Return the scores of a mixed batch.

    Raises:
        PluginError: if there are none, though there were for batches of one set.
    """
    try:
        with torch.no_grad():
            return checked(detector.score(batch), batch).cpu().numpy()
    except Exception as error:
        raise PluginError(
            f"scores depend on the batch: {len(batch)} images of several sets together cannot be "
            f"scored, though those of each set alone were: {describe(error)}"
        ) from error


def _compare(found: np.ndarray, expected: np.ndarray, tolerance: float) -> int:
    """Return how many scores moved by more than rounding.

    Args:
        found: (n,) the scores in mixed batches.
        expected: (n,) those of the same images in batches of one set.
        tolerance: as in `TOLERANCE`.

    Raises:
        PluginError: if more moved than `SPARED`.
    """
    distance = np.abs(found.astype(np.float64) - expected)
    lower, upper = np.percentile(expected, (25, 75))
    size = np.maximum(np.abs(expected), np.percentile(np.abs(expected), 90))
    moved = distance > tolerance * (upper - lower) + ROUNDING * size
    if moved.mean() > SPARED:
        raise PluginError(
            "scores depend on the other images of the batch, or on the images scored before: "
            f"{moved.sum()} of {len(found)} images get other scores from a new object that scores "
            f"all sets mixed, by {np.median(distance[moved]):.3g} in the median, where half of the "
            f"scores lie within {upper - lower:.3g}; compute the score of an image from that image "
            "and what fit() learned, and draw random numbers in fit() alone"
        )
    return int(moved.sum())
