"""The detectors that pytorch-ood fits on logits."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import Batch, InvalidParameter
from oodbench.testing import fit, toy_problem
from oodbench_posthoc.klmatching import PosteriorMatching
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.temperature_scaling import TemperatureScaling

PROBLEM = toy_problem()
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(PosteriorMatching(), pytorch_ood.KLMatching(None), id="klmatching"),
        pytest.param(TemperatureScaling(), pytorch_ood.TemperatureScaling(None), id="temperature"),
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


def test_temperature_scaling_learns_a_temperature():
    assert fit(TemperatureScaling(), PROBLEM).trainable.state()["temperature"] != 1.0


def test_a_weight_outside_of_0_to_1_is_refused():
    with pytest.raises(InvalidParameter, match="euclidean must be at least 0 and at most 1"):
        OpenMax(euclidean=1.5)
