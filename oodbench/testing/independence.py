"""Check that a score is of one image, whatever was scored with it or before it."""

from __future__ import annotations

from collections.abc import Iterable
from unittest import SkipTest

import torch
from torch import Tensor

from oodbench.contracts import Batch, Detector, Need
from oodbench.testing.subject import DetectorSubject, assert_same, score
from oodbench.testing.toy import MEMBERS, NUM_CLASSES, SHAPE, take

LARGEST_BATCH = 100
"""Batches of 1 to so many images are scored one after the other: 5,050 images."""

ALONE = 20
"""Images that are scored one by one; some detectors take a while for each."""

SATURATED = 1e4
"""Logits of a network that is sure beyond what float32 can tell apart after the softmax."""


def check_score_keeps_state(subject: DetectorSubject) -> None:
    """Check that score changes nothing that the detector, its class or its module holds."""
    subject.unchanged.run()


def check_scores_are_independent(subject: DetectorSubject) -> None:
    """Check that a score depends neither on the other images of the batch nor on earlier ones.

    Each way to put images into batches is tried with a new object, as the harness does for each
    data set, and its scores are compared with those of all images in one batch.
    """
    scores = subject.restored.result()
    everything = torch.arange(len(scores))
    inside, outside = everything.split(len(subject.problem.id_images))
    shuffled = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    sizes = range(1, LARGEST_BATCH + 1)
    many = shuffled.repeat(sum(sizes) // len(shuffled) + 1)[: sum(sizes)]
    ways: dict[str, Iterable[Tensor]] = {
        "one image at a time": shuffled[:ALONE].split(1),
        "ID images alone": [inside],
        "OOD images alone": [outside],
        "all images in another order": [shuffled],
        f"batches of 1 to {LARGEST_BATCH} images": many.split(list(sizes)),
        f"the same images after {len(many):,} others": [*many.split(LARGEST_BATCH), everything],
    }
    whole = subject.fitted.result().batch(subject.images)
    for way, batches in ways.items():
        _compare(subject.new(), whole, scores, way, batches)
    if not _reads_outputs(subject):
        return
    extremes = _extremes(subject)
    scores = score(subject.new(), _extremes(subject))  # a copy: score() might write into it
    if scores.isfinite().all():  # else another check reports it
        alone = torch.arange(len(scores)).split(1)
        _compare(subject.new(), extremes, scores, "saturated logits, one image at a time", alone)


def _compare(
    detector: Detector, whole: Batch, scores: Tensor, way: str, batches: Iterable[Tensor]
) -> None:
    """Have a new object score images in batches, and compare its scores with those of one batch.

    Args:
        detector: the new object.
        whole: all images.
        scores: (n,) those of all images in one batch.
        way: says how they are put into batches.
        batches: positions of the images of each.
    """
    for positions in batches:
        found = score(detector, take(whole, positions))
        count = len(positions)
        assert found.shape == (count,), (
            f"{way}: a batch of {count} gets scores of shape {tuple(found.shape)}, not ({count},)"
        )
        problem = "a score must not depend on the other images of its batch, or on earlier ones"
        assert_same(found, scores[positions], scores, f"{problem}; {way}")


def check_extremes(subject: DetectorSubject) -> None:
    """Check that saturated logits, equal ones and features of 0 get finite scores.

    Such outputs occur: a network that is trained for long saturates, and a ReLU may switch every
    feature off.
    """
    subject.restored.result()
    if not _reads_outputs(subject):
        raise SkipTest("the detector reads neither logits nor features, or layers besides")
    batch = _extremes(subject)
    scores = score(subject.new(), batch)
    bad = [name for name, value in zip(EXTREMES, scores.isfinite(), strict=True) if not value]
    assert not bad, f"scores are NaN or infinite where features are 0 and logits {bad[0]}"


def _reads_outputs(subject: DetectorSubject) -> bool:
    """Return whether the detector reads logits or features, and no layers that belong to them."""
    needs = subject.detector.needs
    return not {Need.LOGITS, Need.FEATURES}.isdisjoint(needs) and Need.LAYERS not in needs


EXTREMES = (
    *(f"{SATURATED:g} for class {k} and {-SATURATED:g} for others" for k in range(NUM_CLASSES)),
    *(f"all equal to {value:g}" for value in (0, SATURATED, -SATURATED)),
)
"""What the logits are that `_extremes` returns, one after the other."""


def _extremes(subject: DetectorSubject) -> Batch:
    """Return black images with extreme outputs, holding just what the detector needs."""
    saturated = 2 * SATURATED * torch.eye(NUM_CLASSES) - SATURATED
    equal = torch.tensor([0, SATURATED, -SATURATED])[:, None].expand(-1, NUM_CLASSES)
    fields = {
        Need.INPUTS: torch.zeros(len(EXTREMES), *SHAPE),
        Need.LOGITS: torch.cat([saturated, equal]),
        Need.FEATURES: torch.zeros(len(EXTREMES), subject.problem.classifier.head.in_features),
    }
    if subject.detector.ensemble:
        fields[Need.LOGITS] = fields[Need.LOGITS].repeat(1, MEMBERS)
    needs = subject.detector.needs
    held = {str(need): value for need, value in fields.items() if need in needs}
    return Batch(torch.full((len(EXTREMES),), -1), **held)
