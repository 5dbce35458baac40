"""Training-time methods minimise what their papers say, and change what a classifier learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from oodbench.testing import fit, toy_problem
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_training.deep_svdd import DeepSvdd
from oodbench_training.energy_bounded import EnergyBounded
from oodbench_training.logit_norm import LogitNorm
from oodbench_training.networks import Encoder
from oodbench_training.outlier_exposure import OutlierExposure

LOGITS = torch.tensor([[4.0, 1.0, 0.0], [0.0, 3.0, -1.0], [2.0, 2.0, -3.0], [0.5, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, -1, -1])
"""Two ID images, then two auxiliary ones."""

CROSS_ENTROPY = functional.cross_entropy(LOGITS[:2], LABELS[:2])


def test_outlier_exposure_adds_the_cross_entropy_with_the_uniform_distribution() -> None:
    uniform = -LOGITS[2:].log_softmax(1).mean(1).mean()
    found = OutlierExposure(weight=0.3).loss(LOGITS, LABELS, 0.0)
    assert found.item() == pytest.approx((CROSS_ENTROPY + 0.3 * uniform).item())


def test_energy_bounded_learning_adds_squared_violations_of_both_margins() -> None:
    energy = -LOGITS.logsumexp(1)
    inside = (energy[:2] + 6).clamp(min=0).square().mean()
    outside = (-1 - energy[2:]).clamp(min=0).square().mean()
    method = EnergyBounded(weight=0.2, margin_in=-6, margin_out=-1)
    found = method.loss(LOGITS, LABELS, 0.95)
    assert found.item() == pytest.approx((CROSS_ENTROPY + 0.2 * (inside + outside)).item())


def test_margins_count_in_the_last_part_of_the_training_alone() -> None:
    method = EnergyBounded(start=0.6).on(PreactResNet())
    assert method.loss(LOGITS, LABELS, 0.59).item() == pytest.approx(CROSS_ENTROPY.item())
    assert method.loss(LOGITS, LABELS, 0.6).item() > CROSS_ENTROPY.item() + 1


def test_logit_normalisation_divides_by_norm_and_temperature() -> None:
    scaled = LOGITS / LOGITS.norm(dim=1, keepdim=True) / 0.5
    expected = functional.cross_entropy(scaled[:2], LABELS[:2])
    found = LogitNorm(temperature=0.5).loss(LOGITS[:2], LABELS[:2], 0.0)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (OutlierExposure, {"weight": -1}),
        (EnergyBounded, {"margin_in": -5, "margin_out": -5}),
        (EnergyBounded, {"start": 1}),
        (LogitNorm, {"temperature": 0}),
        (DeepSvdd, {"epochs": 0}),
        (DeepSvdd, {"learning_rate": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(method, wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        method(**wrong)


def fitted(**parameters) -> tuple[DeepSvdd, torch.Tensor]:
    """Return a detector that was fitted on the toy problem, and its scores of training images."""
    problem = toy_problem()
    made = fit(DeepSvdd(width=4, **parameters), problem)
    with torch.no_grad():
        return made.trainable, made.trainable.score(made.batch(problem.train_images))


def test_deep_svdd_scores_by_the_squared_distance_to_its_centre() -> None:
    detector, scores = fitted(dimensions=6, epochs=1)
    with torch.no_grad():
        points = detector.network_(toy_problem().train_images)
    expected = [math.dist(point, detector.centre_.tolist()) ** 2 for point in points.tolist()]
    assert scores.tolist() == pytest.approx(expected, rel=1e-4)


def test_deep_svdd_draws_training_images_to_the_centre() -> None:
    early, before = fitted(dimensions=6, epochs=1)
    late, after = fitted(dimensions=6, epochs=30)
    assert torch.equal(early.centre_, late.centre_)
    assert after.mean() < before.mean() / 2


def test_no_coordinate_of_the_centre_is_near_zero() -> None:
    detector, _ = fitted(dimensions=50, epochs=1)
    assert detector.centre_.abs().min() >= 0.1 - 1e-6
    assert detector.centre_.min() < 0 < detector.centre_.max()


def test_no_layer_of_the_encoder_can_make_a_constant() -> None:
    encoder = Encoder((1, 28, 28), 2, 5)
    assert not any("bias" in name for name, _ in encoder.named_parameters())
    grey = torch.full((1, 1, 28, 28), 0.5)
    assert torch.equal(encoder.eval()(grey), torch.zeros(1, 5))
