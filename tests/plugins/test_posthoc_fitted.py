"""The detectors that are fitted on logits."""

import math

import numpy as np
import pytest
import torch
from pytorch_ood import detector as pytorch_ood
from scipy.optimize import minimize_scalar

from oodbench.contracts import Batch, InvalidParameter, Need
from oodbench.testing import fit, toy_problem
from oodbench_posthoc.klmatching import PosteriorMatching
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.temperature_scaling import TemperatureScaling, best_temperature

PROBLEM = toy_problem()
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(OpenMax(), pytorch_ood.OpenMax(None, 20), id="openmax"),
        pytest.param(
            OpenMax(tail=10, top_classes=2, euclidean=0.5),
            pytorch_ood.OpenMax(None, 10, 2, 0.5),
            id="openmax-10-2",
        ),
    ],
)
def test_scores_are_those_of_pytorch_ood(ours, theirs):
    theirs.fit_logits(PROBLEM.classifier(PROBLEM.train_images).double(), PROBLEM.train_labels)
    with torch.no_grad():
        expected = theirs.predict_logits(PROBLEM.classifier(IMAGES).double())
        fitted = fit(ours, PROBLEM)
        for detector in (fitted.trainable, fitted.restored()):
            scores = detector.score(fitted.batch(IMAGES))
            torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-12)


def test_a_class_of_openmax_is_that_of_the_images_that_are_predicted_right():
    """Its centre and its tail know nothing of training images that are taken for another class."""
    logits = 5 * torch.randn(400, 3, generator=torch.Generator().manual_seed(0)).double()
    right = logits.argmax(dim=1)
    wrong = torch.arange(400) % 4 == 0
    labels = torch.where(wrong, (right + 1) % 3, right)
    scored = 5 * torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    context = PROBLEM.context(OpenMax.needs)
    of_all, of_right = (
        OpenMax().fit_values(logits[chosen], labels[chosen], context)
        for chosen in (torch.full((400,), True), ~wrong)
    )
    batch = Batch(torch.full((50,), -1), logits=scored)
    assert torch.equal(of_all.score(batch), of_right.score(batch))
    theirs = pytorch_ood.OpenMax(None, 20).fit_logits(logits[~wrong], labels[~wrong])
    expected = theirs.predict_logits(scored.double())
    torch.testing.assert_close(of_all.score(batch), expected, rtol=1e-5, atol=1e-12)


def test_a_class_of_openmax_that_is_never_predicted_right_is_that_of_all_its_images():
    logits = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.where(logits.argmax(dim=1) == 2, 0, logits.argmax(dim=1))
    labels[labels.argsort()[:2]] = 2  # two images that are taken for class 0
    labels[logits.argmax(dim=1) == 2] = 0
    fitted = OpenMax().fit_values(logits, labels, PROBLEM.context(OpenMax.needs))
    centers = fitted.state()["centers"]
    torch.testing.assert_close(centers[2], logits[labels == 2].mean(dim=0))
    batch = Batch(torch.full((60,), -1), logits=logits.float())
    assert fitted.score(batch).isfinite().all()


def test_klmatching_is_that_of_pytorch_ood_on_validation_images():
    held_out = PROBLEM.validation(frozenset({Need.LOGITS})).whole
    theirs = pytorch_ood.KLMatching(None).fit_logits(held_out.logits.double(), held_out.labels)
    expected = theirs.predict_logits(PROBLEM.classifier(IMAGES).double())
    fitted = fit(PosteriorMatching(), PROBLEM)
    for detector in (fitted.trainable, fitted.restored()):
        scores = detector.score(fitted.batch(IMAGES))
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-12)


def likelihoods(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Return the mean cross-entropy of softmax(f / T), written out."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_the_temperature_is_the_most_likely_one(scale):
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    logits = scale * (random.normal(size=(200, 4)) + np.eye(4)[labels])
    logits[:10] = logits[:10].mean(1, keepdims=True)  # ties
    best = minimize_scalar(
        lambda power: likelihoods(logits, labels, math.exp(power)),
        bounds=(-8, 8),
        method="bounded",
        options={"xatol": 1e-9},
    )
    found = best_temperature(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found == pytest.approx(math.exp(best.x), rel=1e-5)


def test_without_a_mistake_no_temperature_is_the_best_and_it_is_1():
    labels = torch.arange(30) % 3
    logits = torch.nn.functional.one_hot(labels, 3).double()
    assert best_temperature(logits, labels) == 1.0
    assert best_temperature(logits, (labels + 1) % 3) == pytest.approx(1000)  # never right


def test_scores_are_those_of_the_learned_temperature():
    fitted = fit(TemperatureScaling(), PROBLEM)
    fitted.trainable.temperature_ = 2.5
    expected = -(PROBLEM.classifier(IMAGES).double() / 2.5).softmax(1).amax(1)
    for detector in (fitted.trainable, fitted.restored()):
        torch.testing.assert_close(detector.score(fitted.batch(IMAGES)), expected)


def test_a_weight_outside_of_0_to_1_is_refused():
    with pytest.raises(InvalidParameter, match="euclidean must be at least 0 and at most 1"):
        OpenMax(euclidean=1.5)
