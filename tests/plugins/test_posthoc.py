"""The detectors that pytorch-ood computes from logits."""

import math

import pytest
import torch
from pytorch_ood.detector import EnergyBased, MaxLogit, MaxSoftmax

from oodbench.contracts import Batch, InvalidParameter
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.msp import MaximumSoftmax

EQUIVALENT = [
    pytest.param(MaximumSoftmax(), MaxSoftmax(None), id="msp"),
    pytest.param(MaximumSoftmax(temperature=10.0), MaxSoftmax(None, t=10.0), id="msp-10"),
    pytest.param(Energy(), EnergyBased(None), id="energy"),
    pytest.param(Energy(temperature=2.0), EnergyBased(None, t=2.0), id="energy-2"),
    pytest.param(MaximumLogit(), MaxLogit(None), id="maxlogit"),
]


def batch_of(logits):
    return Batch(torch.full((len(logits),), -1), _logits=logits)


@pytest.mark.parametrize(("ours", "theirs"), EQUIVALENT)
def test_scores_are_those_of_pytorch_ood(ours, theirs):
    logits = 8 * torch.randn(1000, 10, generator=torch.Generator().manual_seed(0))
    expected = theirs.predict_logits(logits).double()
    torch.testing.assert_close(ours.score(batch_of(logits)), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("ours", "theirs"), EQUIVALENT)
def test_an_unsure_prediction_scores_higher(ours, theirs):
    sure, unsure = ours.score(batch_of(torch.tensor([[9.0, 0.0, 0.0], [1.0, 0.9, 0.8]])))
    assert unsure > sure


def test_values_computed_by_hand():
    batch = batch_of(torch.tensor([[math.log(3.0), 0.0]]))
    assert MaximumSoftmax().score(batch).item() == pytest.approx(-3 / 4)
    assert Energy().score(batch).item() == pytest.approx(-math.log(4))
    assert MaximumLogit().score(batch).item() == pytest.approx(-math.log(3))


def test_saturated_confidences_do_not_tie():
    logits = torch.tensor([[20.0, 0.0], [25.0, 0.0]])
    tied = MaxSoftmax(None).predict_logits(logits)
    assert tied[0] == tied[1]
    less_sure, surer = MaximumSoftmax().score(batch_of(logits))
    assert less_sure > surer


@pytest.mark.parametrize("detector", [MaximumSoftmax, Energy])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_cannot_divide_is_refused(detector, temperature):
    with pytest.raises(InvalidParameter, match="temperature must be a number greater than 0"):
        detector(temperature=temperature)
