"""Recipes add to a network what its training needs, resume with it, and remove it at the end."""

from __future__ import annotations

import pytest
import torch
from stagework import Bench, Small, TwoClasses, tensors

from oodbench.contracts import DerivedClassifier
from oodbench.stages import checkpoint
from oodbench.stages.modules import load_classifier
from oodbench_training.cider import Cider
from oodbench_training.rotpred import RotPred
from oodbench_training.t2fnorm import T2FNorm
from oodbench_training.vos import VirtualOutliers


class Counting(DerivedClassifier):
    """Counts steps in a buffer that the training alone has, and leaves their number as a weight."""

    info = Small.info

    def __init__(self, *, network: str = "small", outliers: str = "") -> None:
        self.network = network
        self.outliers = outliers
        self.seen: list[tuple[int, int]] = []

    def auxiliary(self):
        return self.outliers or None

    def begin(self, module, shape, num_classes):
        assert (shape, num_classes) == ((1, 6, 6), 2)
        module.register_buffer("steps", torch.zeros(()))

    def objective(self, step):
        step.module.steps += 1
        others = 0 if step.auxiliary is None else len(step.auxiliary)
        self.seen.append((len(step.images), others))
        return super().objective(step)

    def finish(self, module):
        with torch.no_grad():
            module.head.bias.fill_(module.steps)
        del module.steps


def test_what_the_training_adds_is_kept_in_it_and_not_in_the_weights(bench: Bench, train) -> None:
    found = tensors(bench.train(train, Counting().on(Small(epochs=4))), "model")
    assert found.keys() == Small().build((1, 6, 6), 2).state_dict().keys()
    assert found["head.bias"].tolist() == [12, 12]


def test_an_objective_gets_id_and_auxiliary_images_apart(bench: Bench, train) -> None:
    classifier = Counting(outliers="others").on(Small(epochs=1))
    bench.train(train, classifier, auxiliary=bench.prepare(TwoClasses(count=50)))
    assert classifier.seen == [(20, 20)] * 3


class Killed(BaseException):
    """Ends a training."""


@pytest.mark.parametrize("recipe", [Counting, T2FNorm, RotPred, VirtualOutliers, Cider])
def test_a_recipe_trains_any_network_and_resumes_to_the_same_weights(
    bench: Bench, train, monkeypatch: pytest.MonkeyPatch, recipe
) -> None:
    whole = bench.train(train, recipe().on(Small(epochs=20)))
    assert whole.meta["train_accuracy"] > 0.9
    reports = len(bench.reports)
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", -1)

    class Stopping(recipe):
        def objective(self, step):
            if step.done >= 0.5:
                raise Killed
            return super().objective(step)

    with pytest.raises(Killed):
        bench.train(train, Stopping().on(Small(epochs=20)))
    bench._made -= 1  # the same job again
    resumed = bench.train(train, recipe().on(Small(epochs=20)))
    assert len(bench.reports) < reports
    first, second = tensors(whole, "model"), tensors(resumed, "model")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert load_classifier(recipe().on(Small()), resumed, "cpu")(torch.rand(2, 1, 6, 6)).ndim == 2
