"""Images that are scored again, mixed, by a new object have to get the same scores."""

from __future__ import annotations

import pytest
import torch
from sample_detectors import Brightness, Confidence, RemembersFirstMean, StandardisesLazily
from stagework import Bench, TwoClasses

from oodbench.contracts import Detector, Need, PluginError
from oodbench.store.artifacts import Artifact

MESSAGE = "scores depend on the other images of the batch, or on the images scored before: "


@pytest.fixture
def sets(bench: Bench) -> list[Artifact]:
    """Return two prepared sets, one brighter than the other."""
    return [bench.prepare(TwoClasses(count=100, offset=offset)) for offset in (0, 30)]


def probe(bench: Bench, detector: Detector, sets: list[Artifact], **changes) -> Artifact:
    """Score sets by a detector, and probe it."""
    inputs: dict[str, Artifact] = {}
    for number, images in enumerate(sets):
        scores = bench.score(detector, images=images, **changes)
        inputs |= {f"images:{number}": images, f"scores:{number}": scores}
    return bench.probe(detector, parts=["all"] * len(sets), **inputs, **changes)


def test_a_sound_detector_passes(bench: Bench, sets) -> None:
    made = probe(bench, Brightness(), sets)
    assert (made.meta["probed"], made.meta["moved"], made.meta["forwarded"]) == (200, 0, 0)


@pytest.mark.parametrize("detector", [RemembersFirstMean(), StandardisesLazily()])
def test_a_detector_that_depends_on_its_first_batch_fails(bench: Bench, sets, detector) -> None:
    with pytest.raises(PluginError, match=rf"{MESSAGE}\d+ of 200 images get other scores"):
        probe(bench, detector, sets)


class NormalisesBatches(Brightness):
    def score(self, batch):
        scores = super().score(batch)
        return scores - scores.mean()


class TreatsFirstImagesOtherwise(Brightness):
    def score(self, batch):
        scores = super().score(batch)
        scores[0] += 0.5
        return scores


class Draws(Brightness):
    def score(self, batch):
        return super().score(batch) + 0.1 * torch.rand(len(batch))


@pytest.mark.parametrize("kind", [NormalisesBatches, TreatsFirstImagesOtherwise, Draws])
def test_a_score_that_is_not_of_one_image_is_found(bench: Bench, sets, kind) -> None:
    with pytest.raises(PluginError, match=MESSAGE):
        probe(bench, kind(), sets)


class FailsWhenMixed(Brightness):
    """Raises where a batch holds images of both sets."""

    def score(self, batch):
        if batch.inputs.amax() - batch.inputs.amin() > 0.9:
            raise ValueError("too much contrast")
        return super().score(batch)


def test_a_detector_that_cannot_score_mixed_batches_fails(bench: Bench, sets) -> None:
    message = (
        r"37 images of several sets together cannot be scored, .* ValueError: too much contrast"
    )
    with pytest.raises(PluginError, match=message):
        probe(bench, FailsWhenMixed(), sets)


class Rounds(Brightness):
    """Scores as a network in bfloat16 might: a little differently in batches of another size."""

    def score(self, batch):
        return super().score(batch) * (1 + len(batch) * 2**-15)


def test_rounding_is_judged_by_the_precision_of_the_run(bench: Bench, sets) -> None:
    assert probe(bench, Rounds(), sets, precision="bfloat16").meta["moved"] == 0
    with pytest.raises(PluginError, match=MESSAGE):
        probe(bench, Rounds(), sets)


def test_a_set_that_could_not_be_scored_is_left_out(bench: Bench, sets) -> None:
    scores = bench.score(Brightness(), images=sets[1])
    given = {"images:0": sets[0], "images:1": sets[1], "scores:1": scores}
    assert bench.probe(Brightness(), parts=["all", "all"], **given).meta["probed"] == 100


def test_parts_and_outputs_are_read_where_the_scores_come_from(bench, train, test, trained) -> None:
    """Of the training images, rows of scores and of logits are not those of the images."""
    inputs: dict[str, Artifact] = {}
    for number, (images, part) in enumerate([(test, "all"), (train, "calibration")]):
        extracted = bench.extract(images, trained, part)
        scores = bench.score(Confidence(), part, images=images, extract=extracted)
        inputs |= {f"images:{number}": images, f"extract:{number}": extracted}
        inputs |= {f"scores:{number}": scores}
    made = bench.probe(Confidence(), parts=["all", "calibration"], **inputs)
    assert (made.meta["probed"], made.meta["moved"]) == (80, 0)


class Passes(Detector):
    """Passes images through the classifier."""

    info = Brightness.info
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})

    def fit(self, train, context):
        return self.restore({}, context)

    def restore(self, state, context):
        self._classifier = context.classifier
        return self

    def score(self, batch):
        return -self._classifier(batch.inputs).amax(1)


def test_images_that_a_detector_passes_through_the_classifier_are_counted(
    bench: Bench, train, test, trained
) -> None:
    shared = {"classifier": trained, "fit": bench.fit(Passes(), train=train, classifier=trained)}
    scores = bench.score(Passes(), images=test, **shared)
    made = bench.probe(Passes(), parts=["all"], **shared, **{"images:0": test, "scores:0": scores})
    assert made.meta["forwarded"] == 60


def test_images_are_mixed_and_drawn_by_seed(bench: Bench) -> None:
    """Of three sets of 200 images, 85 each are scored, in batches of other sizes."""

    class Watches(Brightness):
        def score(self, batch):
            seen.append(batch.inputs[:, 0, 0, 0].tolist())
            return super().score(batch)

    seen: list[list[float]] = []
    sets = [bench.prepare(TwoClasses(count=200, offset=offset)) for offset in (0, 1, 2)]
    assert probe(bench, Watches(), sets).meta["probed"] == 255
    assert [len(batch) for batch in seen[-6:]] == [37, 1, 100, 37, 1, 79]
    again = seen[:]
    seen.clear()
    probe(bench, Watches(), sets)
    assert seen == again
