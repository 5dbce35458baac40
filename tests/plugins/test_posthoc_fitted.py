"""The detectors that pytorch-ood fits on logits."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import InvalidParameter
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
        pytest.param(OpenMax(), pytorch_ood.OpenMax(None), id="openmax"),
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


def test_temperature_scaling_learns_a_temperature():
    assert fit(TemperatureScaling(), PROBLEM).trainable.state()["temperature"] != 1.0


def test_a_weight_outside_of_0_to_1_is_refused():
    with pytest.raises(InvalidParameter, match="euclidean must be at least 0 and at most 1"):
        OpenMax(euclidean=1.5)
