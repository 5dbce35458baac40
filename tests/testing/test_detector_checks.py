"""Each way to break the contract of a detector is found, by the check that is about it."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from outcomes import failures

from oodbench.contracts import Detector, Info, Need, Paper, PluginError, Trainable, by_channel
from oodbench.testing import checks

TENSOR = torch.tensor(1.0)
CITED = {"title": "A Title", "authors": "Doe", "venue": "ICML", "year": 2024}


class Sound(Detector):
    """Scores by the distance to the mean of the features, plus a little noise drawn in fit."""

    info = Info(name="sound", summary="Distance to the mean")
    needs = frozenset({Need.FEATURES})
    stochastic = True
    space: ClassVar = {"power": (1.0, 2.0)}

    def __init__(self, *, power=1.0):
        self.power = power

    def fit(self, train, context):
        features = torch.cat([batch.features for batch in train])
        noise = torch.randn(features.shape[1], generator=context.generator()).to(context.device)
        self.mean_ = features.mean(dim=0) + 0.01 * noise
        return self

    def score(self, batch):
        return (batch.features - self.mean_).norm(dim=1) ** self.power


class Shouting(Sound):
    info = Info(name="SOUND_1", summary="Distance to the mean")


class ScoringByValidation(Sound):
    needs = frozenset({Need.FEATURES, Need.VALIDATION})


class NeedingNoWholeNumber(Sound):
    def least_images(self):
        return 2.5


class ChangingValidation(Sound):
    fit_needs = frozenset({Need.FEATURES, Need.VALIDATION})

    def fit(self, train, context):
        for batch in context.validation:
            batch.features.add_(1)
        return super().fit(train, context)


class ReadingValidationUndeclared(Sound):
    def fit(self, train, context):
        return super().fit(context.validation, context)


class WithoutSummary(Sound):
    info = Info(name="sound", summary=" ")


class BadlyCited(Sound):
    info = Info(name="sound", summary="Distance", paper=Paper(**CITED, url="arxiv 1234"))


class Positional(Sound):
    def __init__(self, power=1.0):
        self.power = power


class WithoutDefault(Sound):
    space: ClassVar = {}

    def __init__(self, *, power):
        self.power = power


class Forgetful(Sound):
    space: ClassVar = {}

    def __init__(self, *, strength=1.0):
        self.power = strength


class Converting(Sound):
    def __init__(self, *, power=1):
        self.power = float(power)


class TooEager(Sound):
    def __init__(self, *, power=1.0):
        self.power = power
        self.mean_ = torch.zeros(12)


class TakingObjects(Sound):
    space: ClassVar = {}

    def __init__(self, *, power=TENSOR):
        self.power = power


class NeedsInAList(Sound):
    needs: ClassVar = [Need.FEATURES]


class NeedsAsText(Sound):
    needs = frozenset({"features"})


class SpaceOfUnknownParameters(Sound):
    space: ClassVar = {"temperature": (1.0, 2.0)}


class SpaceOfNothing(Sound):
    space: ClassVar = {"power": ()}


class SpaceOfNumbers(Sound):
    space: ClassVar = {"power": [1.0, 2.0]}


class PartOfNothing(Sound):
    def parts(self):
        return {"part": object()}

    def fit(self, train, context):
        return super().fit(train, context)


class NotToBePickled(Sound):
    def __getstate__(self):
        raise TypeError("cannot pickle a lock")


class LosingParameters(Sound):
    def __setstate__(self, state):
        self.power = 3.0


class ScoringUnfitted(Sound):
    def score(self, batch):
        return super().score(batch) if hasattr(self, "mean_") else torch.zeros(len(batch))


class FailingUnclearly(Sound):
    def score(self, batch):
        return (batch.features - getattr(self, "mean_", None)).norm(dim=1)


class ReturningNothing(Sound):
    def fit(self, train, context):
        super().fit(train, context)


class FailingToFit(Sound):
    def fit(self, train, context):
        raise RuntimeError("out of luck")


class FittingUndeclared(Sound):
    def fit(self, train, context):
        for batch in train:
            batch.logits.sum()
        return super().fit(train, context)


class ReachingForTheClassifier(Sound):
    def fit(self, train, context):
        context.classifier.eval()
        return super().fit(train, context)


class ChangingParameters(Sound):
    def fit(self, train, context):
        self.power = 2.0
        return super().fit(train, context)


class ScoringUndeclared(Sound):
    def score(self, batch):
        return super().score(batch) + 0 * batch.logits[:, 0]


class ReturningAnArray(Sound):
    def score(self, batch):
        return super().score(batch).numpy()


class ReturningAColumn(Sound):
    def score(self, batch):
        return super().score(batch)[:, None]


class ReturningIntegers(Sound):
    def score(self, batch):
        return (super().score(batch) * 1000).long()


class ReturningNaN(Sound):
    def score(self, batch):
        return super().score(batch).index_fill(0, torch.tensor([5 % len(batch)]), np.nan)


class Throwing(Sound):
    def score(self, batch):
        return super().score(batch) + 0.01 * torch.randn(len(batch)).to(batch.labels.device)


class NormalisingByBatch(Sound):
    def score(self, batch):
        scores = super().score(batch)
        return scores - scores.mean()


class CountingPositions(Sound):
    def score(self, batch):
        return super().score(batch) + 0.01 * torch.arange(len(batch)).to(batch.labels.device)


class Squeezing(Sound):
    def score(self, batch):
        return super().score(batch).squeeze()


class RememberingTheFirstMean(Sound):
    """Moves the mean by that of the first batch that it scores."""

    def score(self, batch):
        if not hasattr(self, "_first"):
            self._first = batch.features.mean(0)
        return (batch.features - self.mean_ - 0.1 * self._first).norm(dim=1) ** self.power


class StandardisingLazily(Sound):
    """Standardises by the mean and deviation of the first scores."""

    def __init__(self, *, power=1.0):
        self.power = power
        self._scale = {}

    def score(self, batch):
        scores = super().score(batch)
        if not self._scale:
            self._scale.update(mean=scores.mean(), deviation=scores.std())
        return (scores - self._scale["mean"]) / self._scale["deviation"]


class RememberingInItsClass(Sound):
    scored = 0

    def score(self, batch):
        type(self).scored += len(batch)
        return super().score(batch) + self.scored


SEEN = []


class RememberingInItsModule(Sound):
    def score(self, batch):
        SEEN.append(batch.features.mean())
        return super().score(batch) / SEEN[0]


class FillingOneBuffer(Sound):
    def score(self, batch):
        if not hasattr(self, "_buffer"):
            self._buffer = torch.empty(1000, device=batch.labels.device)
        return self._buffer[: len(batch)].copy_(super().score(batch))


class HidingItsFirstBatch(Sound):
    """Depends on the first batch by what no attribute holds: only a new object shows it."""

    def restore(self, state, context):
        super().restore(state, context)
        first = []

        def standardised(scores):
            first.append(scores.mean())
            return scores - first[0]

        self._standardised = standardised
        return self

    def fit(self, train, context):
        return super().fit(train, context).restore(self.state(), context)

    def score(self, batch):
        return self._standardised(super().score(batch))


class DividingByTheNorm(Sound):
    def score(self, batch):
        features = batch.features / batch.features.norm(dim=1, keepdim=True)
        return (features - self.mean_ / self.mean_.norm()).norm(dim=1) ** self.power


class NormalisingSaturatedBatches(Sound):
    needs = frozenset({Need.FEATURES, Need.LOGITS})

    def score(self, batch):
        saturated = batch.logits.abs().amax()
        return super().score(batch) + (saturated if saturated > 1e3 else 0) * batch.logits.mean()


class DrawingUndeclared(Sound):
    stochastic = False


class DrawingFromElsewhere(Sound):
    def fit(self, train, context):
        super().fit(train, context)
        self.mean_ = self.mean_ + 0.01 * float(np.random.default_rng().normal())
        return self


class FittingInPlace(Sound):
    def fit(self, train, context):
        for batch in train:
            batch.features.mul_(1.01)
        return super().fit(train, context)


class ScoringInPlace(Sound):
    def score(self, batch):
        return batch.features.sub_(self.mean_).norm(dim=1) ** self.power


class LearningAList(Sound):
    def fit(self, train, context):
        super().fit(train, context)
        self.history_ = [1, 2]
        return self


class HidingWhatItLearned(Sound):
    def fit(self, train, context):
        super().fit(train, context)
        self._scale = 2.0
        return self

    def score(self, batch):
        self.mean_.sum()
        return super().score(batch) * self._scale


class RestoringWrongly(Sound):
    def restore(self, state, context):
        return super().restore({"mean_": state["mean_"] + 0.1}, context)


class Reversed(Sound):
    def score(self, batch):
        return -super().score(batch)


class Remarking(Reversed):
    def remarks(self):
        return ["It is upside down."]


class Constant(Sound):
    def score(self, batch):
        return 0 * super().score(batch)


class ReadingLayers(Detector):
    """Scores by the distance of the last layer's means from those of training images."""

    info = Info(name="reading-layers", summary="Distance to the mean")
    needs = frozenset({Need.LAYERS})

    def reduce(self, layers):
        return by_channel(last_of(layers)).mean(dim=2)

    def fit(self, train, context):
        self.mean_ = torch.cat([batch.reduced for batch in train]).mean(dim=0)
        return self

    def score(self, batch):
        return (batch.reduced - self.mean_).norm(dim=1)


def last_of(layers):
    return layers.outputs[list(layers.outputs)[-1]]


class ReducingByBatch(ReadingLayers):
    def reduce(self, layers):
        found = super().reduce(layers)
        return found - found.mean(dim=0)


class ReducingInPlace(ReadingLayers):
    def reduce(self, layers):
        found = super().reduce(layers)
        layers.features.mul_(2)
        return found


class ReducingMapsAlone(ReadingLayers):
    def reduce(self, layers):
        return last_of(layers).mean(dim=(2, 3))


BROKEN = [
    (Shouting, "info"),
    (WithoutSummary, "info"),
    (BadlyCited, "info"),
    (Positional, "constructor"),
    (Forgetful, "constructor"),
    (Converting, "constructor"),
    (TooEager, "constructor"),
    (TakingObjects, "constructor"),
    (NeedsInAList, "declarations"),
    (NeedsAsText, "declarations"),
    (ScoringByValidation, "declarations"),
    (NeedingNoWholeNumber, "declarations"),
    (SpaceOfUnknownParameters, "declarations"),
    (SpaceOfNothing, "declarations"),
    (SpaceOfNumbers, "declarations"),
    (NotToBePickled, "pickling"),
    (LosingParameters, "pickling"),
    (ScoringUnfitted, "unfitted"),
    (FailingUnclearly, "unfitted"),
    (ReturningNothing, "fit"),
    (FailingToFit, "fit"),
    (FittingUndeclared, "fit"),
    (ReachingForTheClassifier, "fit"),
    (ChangingParameters, "fit"),
    (ScoringUndeclared, "scores"),
    (ReturningAnArray, "scores"),
    (ReturningAColumn, "scores"),
    (ReturningIntegers, "scores"),
    (ReturningNaN, "scores"),
    (Throwing, "scores_repeat"),
    (NormalisingByBatch, "scores_are_independent"),
    (CountingPositions, "scores_are_independent"),
    (Squeezing, "scores_are_independent"),
    (HidingItsFirstBatch, "scores_are_independent"),
    (NormalisingSaturatedBatches, "scores_are_independent"),
    (RememberingTheFirstMean, "score_keeps_state"),
    (StandardisingLazily, "score_keeps_state"),
    (RememberingInItsClass, "score_keeps_state"),
    (RememberingInItsModule, "score_keeps_state"),
    (FillingOneBuffer, "score_keeps_state"),
    (DividingByTheNorm, "extremes"),
    (DrawingUndeclared, "seed"),
    (DrawingFromElsewhere, "seed"),
    (FittingInPlace, "inputs_are_kept"),
    (ScoringInPlace, "inputs_are_kept"),
    (LearningAList, "state"),
    (HidingWhatItLearned, "state"),
    (RestoringWrongly, "state"),
    (ReducingByBatch, "reduction"),
    (ReducingInPlace, "reduction_keeps_layers"),
    (ReducingMapsAlone, "tokens"),
    (Reversed, "toy_shift"),
    (Constant, "toy_shift"),
]


@pytest.mark.parametrize("sound", [Sound(), ReadingLayers()])
def test_a_sound_detector_passes(sound):
    assert failures(sound) == {}


def test_parameters_under_test_are_used():
    fitted = next(check for check in checks(Sound(power=2.0)) if check.name == "fit")
    assert str(fitted) == "sound(power=2.0)-fit"
    assert failures(Sound(power=2.0)) == {}


@pytest.mark.parametrize(("broken", "name"), BROKEN, ids=lambda item: getattr(item, "__name__", ""))
def test_one_fault_fails_one_check(broken, name):
    assert list(failures(broken())) == [name]


def test_every_check_is_shown_to_fail():
    never = {check.name for check in checks(Sound())} - {name for _, name in BROKEN}
    assert never == {"device"}  # needs a GPU


def test_validation_images_must_be_declared_and_kept():
    text = failures(ReadingValidationUndeclared())["fit"]
    assert "uses context.validation but fit_needs lacks Need.VALIDATION" in text
    assert "fit writes into batch.features" in failures(ChangingValidation())["inputs_are_kept"]


def test_a_parameter_without_default_is_found():
    assert "parameter 'power' has no default" in failures(WithoutDefault(power=1.0))["constructor"]


def test_a_part_that_is_none_is_found():
    assert "part 'part' is not a Trainable" in failures(PartOfNothing())["declarations"]


def test_messages_say_what_to_do():
    assert "does not declare Need.LOGITS" in failures(FittingUndeclared())["fit"]
    assert "does not declare Need.CLASSIFIER" in failures(ReachingForTheClassifier())["fit"]
    assert "is the sign wrong?" in failures(Reversed())["toy_shift"]
    assert "the detector remarks: It is upside down." in failures(Remarking())["toy_shift"]
    assert "stochastic is False" in failures(DrawingUndeclared())["seed"]
    assert "1 of 200 scores are NaN" in failures(ReturningNaN())["scores"]
    assert "features are 0 and logits 10000 for" in failures(DividingByTheNorm())["extremes"]


@pytest.mark.parametrize(
    ("broken", "changed"),
    [
        (RememberingTheFirstMean, "self._first"),
        (StandardisingLazily, "self._scale"),
        (RememberingInItsClass, "RememberingInItsClass.scored"),
        (RememberingInItsModule, "the global SEEN"),
        (FillingOneBuffer, "self._buffer"),
    ],
)
def test_what_a_detector_keeps_from_a_batch_is_named(broken, changed):
    reason = failures(broken())["score_keeps_state"]
    assert f"score() changes {changed}, so that a score may depend on images that were" in reason


@pytest.mark.parametrize(
    ("broken", "way"),
    [
        (Squeezing, "one image at a time: a batch of 1 gets scores of shape (), not (1,)"),
        (NormalisingByBatch, "one image at a time: scores differ by"),
        (HidingItsFirstBatch, "one image at a time: scores differ by"),
        (NormalisingSaturatedBatches, "saturated logits, one image at a time: scores differ"),
    ],
)
def test_the_batches_in_which_scores_differ_are_named(broken, way):
    assert way in failures(broken())["scores_are_independent"]


class Centre(Trainable):
    """A part: the mean of the logits."""

    needs = frozenset({Need.LOGITS})

    def fit(self, train, context):
        self.centre_ = torch.cat([batch.logits for batch in train]).mean(dim=0)
        return self


class WithPart(Detector):
    """Scores by the distance to a centre that a part learned."""

    info = Info(name="with-part", summary="Distance to a centre")
    needs = frozenset({Need.LOGITS})

    def parts(self):
        return {"centre": Centre()}

    def fit(self, train, context):
        self.centre_ = context.parts["centre"].centre_
        return self

    def score(self, batch):
        if not hasattr(self, "centre_"):
            raise PluginError("with-part is not fitted")
        return -(batch.logits - self.centre_).norm(dim=1)


def test_parts_are_fitted_first_and_handed_over():
    assert failures(WithPart()) == {}


class RestoresFromPart(WithPart):
    def restore(self, state, context):
        self.centre_ = context.parts["centre"].centre_
        return super().restore(state, context)


def test_there_are_no_parts_when_what_was_fitted_is_restored():
    assert failures(RestoresFromPart()) == {"state": "failed: 'centre'"}


class RestoresFromClassifier(Sound):
    fit_needs = frozenset({Need.FEATURES, Need.CLASSIFIER})

    def restore(self, state, context):
        self._head = context.classifier.head
        return super().restore(state, context)


def test_there_is_the_classifier_that_fit_needed_when_what_was_fitted_is_restored():
    assert failures(RestoresFromClassifier()) == {}
