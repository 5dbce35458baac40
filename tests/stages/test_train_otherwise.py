"""Classifiers come by their weights in ways of their own: another loss, or a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stagework import Bench, Small, TwoClasses, array, tensors

from oodbench.contracts import CustomClassifier, DerivedClassifier, ImageSet, InvalidData
from oodbench.errors import UserError
from oodbench.stages.modules import load_classifier


class Plain(Small, CustomClassifier):
    """Trained in the common way, by the default loss."""


class Undecided(DerivedClassifier):
    """Trained to be undecided about auxiliary images."""

    info = Small.info

    def __init__(self, *, network: str = "small", outliers: str = "others") -> None:
        self.network = network
        self.outliers = outliers
        self.seen: list[tuple[int, list[int], float]] = []

    def auxiliary(self):
        return self.outliers

    def loss(self, logits, labels, done):
        known = labels >= 0
        self.seen.append((len(labels), labels[~known].tolist(), done))
        return super().loss(logits, labels, done) - logits[~known].log_softmax(1).mean()


class Known(Plain):
    """Has weights already: all of one value."""

    def load(self, module, num_classes):
        for parameter in module.parameters():
            torch.nn.init.constant_(parameter, num_classes)
        return True


def test_a_default_loss_learns_as_the_common_training_does(bench: Bench, train) -> None:
    own, common = bench.train(train, Plain()), bench.train(train)
    assert own.meta["train_accuracy"] == pytest.approx(common.meta["train_accuracy"], abs=0.02)
    assert own.meta["shape"] == common.meta["shape"]
    assert own.meta["num_classes"] == common.meta["num_classes"]
    first, second = tensors(own, "model"), tensors(common, "model")
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in second)


def test_a_derived_classifier_takes_network_recipe_and_loss(bench: Bench, train) -> None:
    others = bench.prepare(TwoClasses(offset=30))
    classifier = Undecided().on(Small(width=5, epochs=40))
    trained = bench.train(train, classifier, auxiliary=others)
    plain = bench.train(train, Small(width=5, epochs=40))
    assert trained.meta["train_accuracy"] > 0.9
    images = torch.from_numpy(array(others, "images")).float() / 255

    def confidence(of, artifact) -> float:
        module = load_classifier(of, artifact, "cpu")
        return float(module(images).softmax(1).amax(1).mean())

    assert confidence(classifier, trained) < confidence(Small(width=5), plain) - 0.05


def test_each_batch_is_followed_by_as_many_auxiliary_images(bench: Bench, train) -> None:
    classifier = Undecided().on(Small(epochs=2))
    bench.train(train, classifier, auxiliary=bench.prepare(TwoClasses(count=50)))
    assert [(count, labels) for count, labels, _ in classifier.seen] == [(40, [-1] * 20)] * 6
    assert [done for *_, done in classifier.seen] == pytest.approx([n / 6 for n in range(6)])


def test_fewer_auxiliary_images_than_a_batch_are_taken_again_and_again(bench, train) -> None:
    classifier = Undecided().on(Small(epochs=1))
    bench.train(train, classifier, auxiliary=bench.prepare(TwoClasses(count=3)))
    assert [count for count, *_ in classifier.seen] == [23] * 3


def test_the_seed_draws_weights_and_auxiliary_images(bench: Bench, train) -> None:
    others = bench.prepare(TwoClasses(offset=30))
    first, again, other = (
        tensors(bench.train(train, Undecided().on(Small()), seed, auxiliary=others), "model")
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_weights_that_exist_already_are_not_trained(bench: Bench) -> None:
    images = bench.prepare(Unlabelled(), "train")  # which nothing could be trained on
    obtained = bench.train(images, Known())
    assert all(bool((value == 2).all()) for value in tensors(obtained, "model").values())
    assert "train_accuracy" not in obtained.meta
    assert bench.reports == []


class Unlabelled(TwoClasses):
    def load(self, root, split):
        found = super().load(root, split)
        return ImageSet(found.images, np.full_like(found.labels, -1))


def test_labels_that_are_no_classes_are_the_users_error(bench: Bench) -> None:
    with pytest.raises(UserError, match="needs at least two of the classes 0 to 1, and nothing"):
        bench.train(bench.prepare(Unlabelled(), "train"), Plain())


def test_a_refusal_to_load_is_passed_on(bench: Bench, train) -> None:
    class Refuses(Plain):
        def load(self, module, num_classes):
            raise InvalidData("no")

    with pytest.raises(InvalidData, match="no"):
        bench.train(train, Refuses())
