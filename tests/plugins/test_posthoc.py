"""The detectors that pytorch-ood computes from logits."""

import math

import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import Batch, InvalidParameter
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.entropy import Entropy
from oodbench_posthoc.gen import GeneralisedEntropy
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.msp import MaximumSoftmax

EQUIVALENT = [
    pytest.param(MaximumSoftmax(), pytorch_ood.MaxSoftmax(None), id="msp"),
    pytest.param(MaximumSoftmax(temperature=10.0), pytorch_ood.MaxSoftmax(None, t=10.0), id="T"),
    pytest.param(Energy(), pytorch_ood.EnergyBased(None), id="energy"),
    pytest.param(Energy(temperature=2.0), pytorch_ood.EnergyBased(None, t=2.0), id="energy-2"),
    pytest.param(MaximumLogit(), pytorch_ood.MaxLogit(None), id="maxlogit"),
    pytest.param(Entropy(), pytorch_ood.Entropy(None), id="entropy"),
    pytest.param(GeneralisedEntropy(), pytorch_ood.GEN(None), id="gen"),
    pytest.param(
        GeneralisedEntropy(gamma=0.5, top_classes=3), pytorch_ood.GEN(None, 0.5, 3), id="gen-top-3"
    ),
]


def batch_of(logits):
    return Batch(torch.full((len(logits),), -1), logits=logits)


@pytest.mark.parametrize(("ours", "theirs"), EQUIVALENT)
def test_scores_are_those_of_pytorch_ood(ours, theirs):
    """Where no probability is below 1e-7: it clips them for GEN and the entropy."""
    logits = 1.5 * torch.randn(1000, 10, generator=torch.Generator().manual_seed(0))
    expected = theirs.predict_logits(logits.double())
    torch.testing.assert_close(ours.score(batch_of(logits)), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("ours", "theirs"), EQUIVALENT)
def test_float32_makes_no_difference_to_unsure_predictions(ours, theirs):
    logits = torch.randn(1000, 10, generator=torch.Generator().manual_seed(0))
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
    entropy = 3 / 4 * math.log(4 / 3) + 1 / 4 * math.log(4)
    assert Entropy().score(batch).item() == pytest.approx(entropy)
    assert GeneralisedEntropy(gamma=1.0).score(batch).item() == pytest.approx(3 / 16)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MaximumSoftmax(), pytorch_ood.MaxSoftmax(None)),
        (Entropy(), pytorch_ood.Entropy(None)),
        (GeneralisedEntropy(), pytorch_ood.GEN(None)),
    ],
    ids=["msp", "entropy", "gen"],
)
def test_saturated_confidences_do_not_tie(ours, theirs):
    logits = torch.tensor([[20.0, 0.0], [25.0, 0.0]])
    tied = theirs.predict_logits(logits)
    assert tied[0] == tied[1]
    less_sure, surer = ours.score(batch_of(logits))
    assert less_sure > surer


@pytest.mark.parametrize("detector", [MaximumSoftmax, Energy])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_cannot_divide_is_refused(detector, temperature):
    with pytest.raises(InvalidParameter, match="temperature must be a number greater than 0"):
        detector(temperature=temperature)


def test_parameters_of_gen_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match="gamma must be a number greater than 0"):
        GeneralisedEntropy(gamma=0.0)
    with pytest.raises(InvalidParameter, match="top_classes must be a whole number of at least 1"):
        GeneralisedEntropy(top_classes=0)
