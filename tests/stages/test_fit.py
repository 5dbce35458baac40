"""Detectors are fitted with seed, parts and classifier, and come back from what they learned."""

from __future__ import annotations

import json
from typing import Self

import numpy as np
import pytest
import torch
from sample_detectors import Brightness, FirstOfTwo, Generator, ReturnsNothingFromFit
from stagework import Bench, tensors

from oodbench.contracts import Context, Detector, Info, Need, PluginError

CONTEXT = Context(device=torch.device("cpu"), seed=0, shape=(1, 6, 6), num_classes=2)


class Learns(Brightness):
    """Learns a tensor, an array, numbers and a text."""

    stochastic = True

    def fit(self, train, context) -> Self:
        self.offset_ = torch.rand(3, generator=context.generator())
        self.global_ = torch.rand(3)
        self.counts_ = np.arange(3)
        self.number_ = 0.1 + 0.2
        self.whole_ = len(train)
        self.text_ = "ü"
        self._private_ = object()
        self.scratch = object()
        return self


def test_what_is_learned_is_kept_and_comes_back(bench: Bench, train) -> None:
    from oodbench.stages.fit import restore

    fitted = Learns()
    made = bench.fit(fitted, train=train)
    restored = restore(Learns(), made, CONTEXT)
    assert torch.equal(restored.offset_, fitted.offset_)
    assert restored.counts_.tolist() == [0, 1, 2]
    assert (restored.number_, restored.whole_, restored.text_) == (0.1 + 0.2, 60, "ü")
    assert not hasattr(restored, "scratch")


def test_seeds_drive_both_generators(bench: Bench, train) -> None:
    first, again, other = (
        tensors(bench.fit(Learns(), seed=seed, train=train), "state") for seed in (0, 0, 1)
    )
    for name in ("offset_", "global_"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_parts_are_handed_over_fitted_and_their_time_counts(bench: Bench, train) -> None:
    part = bench.fit(Generator(), train=train)
    inputs = {"train": train, "part:generator": part}
    first = bench.fit(FirstOfTwo(), seed=0, **inputs)
    other = bench.fit(FirstOfTwo(), seed=1, **inputs)
    image = tensors(part, "state")["image_"]
    noise = tensors(first, "state")["image_"] - image
    assert 0 <= noise.min() < noise.max() <= 1
    assert not torch.equal(tensors(other, "state")["image_"], image + noise)
    assert first.meta["fit_seconds"] > part.meta["fit_seconds"] > 0


class AsksForTheClassifier(Detector):
    info = Info(name="asks", summary="")
    needs = frozenset({Need.INPUTS})
    fit_needs = frozenset({Need.INPUTS, Need.CLASSIFIER})

    def fit(self, train, context) -> Self:
        self.logits_ = context.classifier(next(iter(train)).inputs)
        self.frozen_ = int(not self.logits_.requires_grad)
        return self

    def score(self, batch):
        raise NotImplementedError


def test_the_classifier_is_there_where_it_is_needed(bench: Bench, train, trained) -> None:
    made = bench.fit(AsksForTheClassifier(), train=train, classifier=trained)
    assert tensors(made, "state")["logits_"].shape == (60, 2)
    assert json.loads((made / "state.json").read_text()) == {"frozen_": 1}


class AsksInSecret(AsksForTheClassifier):
    fit_needs = frozenset({Need.INPUTS})


def test_the_classifier_is_not_there_where_it_was_not_asked_for(bench: Bench, train) -> None:
    with pytest.raises(PluginError, match=r"does not declare Need\.CLASSIFIER"):
        bench.fit(AsksInSecret(), train=train)


def test_fit_must_return_self(bench: Bench, train, trained) -> None:
    parts = {part: bench.extract(train, trained, part) for part in ("calibration", "rest")}
    with pytest.raises(PluginError, match=r"ReturnsNothingFromFit\.fit\(\) must return self"):
        bench.fit(ReturnsNothingFromFit(), train=train, **parts)


class LearnsAnObject(Brightness):
    def fit(self, train, context) -> Self:
        self.model_ = torch.nn.Linear(1, 1)
        return self


def test_what_cannot_be_kept_is_named(bench: Bench, train) -> None:
    with pytest.raises(PluginError, match=r"LearnsAnObject\.model_ is a Linear; override state"):
        bench.fit(LearnsAnObject(), train=train)


class LearnsViews(Brightness):
    """Learns two tensors that share memory, in an order that is not the memory's."""

    def fit(self, train, context) -> Self:
        self.whole_ = torch.arange(6.0).reshape(2, 3)
        self.turned_ = self.whole_.T
        return self


def test_tensors_that_share_memory_are_kept(bench: Bench, train) -> None:
    found = tensors(bench.fit(LearnsViews(), train=train), "state")
    assert torch.equal(found["turned_"], found["whole_"].T)
