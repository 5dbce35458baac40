"""Recipes whose losses read more than logits: their formulas, in float64 from the papers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp
from stagework import Small

from oodbench.contracts import Batch, InvalidParameter, Need, PluginError, TrainingStep
from oodbench.testing import toy_problem
from oodbench_training.cider import Cider
from oodbench_training.rotpred import Rotation, RotPred
from oodbench_training.t2fnorm import T2FNorm
from oodbench_training.vos import VirtualOutliers

SHAPE, CLASSES = (1, 6, 6), 3
LABELS = torch.tensor([0, 1, 1, 2, 1, 0, 1])


class ThreeClasses(Small):
    """The network of the stages' tests, whose features are never negative, and some of them 0."""


def begun(recipe, labels=LABELS, done=0.9) -> Any:
    """Return the network of a recipe that is about to train, and a step."""
    torch.manual_seed(0)
    recipe.on(ThreeClasses())
    module = recipe.build(SHAPE, CLASSES)
    recipe.begin(module, SHAPE, CLASSES)
    step = TrainingStep(
        module=module.train(),
        images=torch.rand(len(labels), *SHAPE),
        labels=labels,
        done=done,
        generator=torch.Generator().manual_seed(1),
        features=module.features,
    )
    return module, step


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def layer(linear: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    return x @ numbers(linear.weight).T + numbers(linear.bias)


def features_of(module, images) -> np.ndarray:
    return np.maximum(layer(module.body[1], numbers(images).reshape(len(images), -1)), 0)


def cross_entropy(logits: np.ndarray, labels) -> float:
    chosen = log_softmax(logits, axis=1)[np.arange(len(logits)), np.asarray(labels)]
    return float(-chosen.mean())


def unit(x: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(norms == 0, 1, norms)  # some images have no feature above 0


def test_t2fnorm_learns_from_features_of_norm_one() -> None:
    recipe = T2FNorm(temperature=0.3)
    module, step = begun(recipe)
    loss, logits = recipe.objective(step)
    expected = layer(module.head, unit(features_of(module, step.images)) / 0.3)
    assert numbers(logits) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert loss.item() == pytest.approx(cross_entropy(expected, LABELS), rel=1e-5)


def test_t2fnorm_scores_by_features_of_any_norm_divided_by_the_temperature() -> None:
    recipe = T2FNorm(temperature=0.3)
    module, step = begun(recipe)
    expected = layer(module.head, features_of(module, step.images) / 0.3)
    recipe.finish(module)
    assert numbers(module(step.images)) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_t2fnorm_decays_scales_and_biases_too() -> None:
    module, _ = begun(T2FNorm())
    groups = T2FNorm().on(ThreeClasses()).optimizer(module).param_groups
    assert [group["weight_decay"] for group in groups] == [5e-4, 5e-4]


def test_t2fnorm_refuses_a_head_that_is_not_linear_before_the_training() -> None:
    module = SimpleNamespace(head=torch.nn.Identity())
    with pytest.raises(PluginError, match="linear head, not a Identity"):
        T2FNorm().begin(module, SHAPE, CLASSES)


def test_rotpred_adds_the_cross_entropy_of_rotations() -> None:
    recipe = RotPred(weight=0.7)
    module, step = begun(recipe)
    loss, _ = recipe.objective(step)
    rotations = np.mean(
        [
            cross_entropy(
                layer(module.rotation, features_of(module, step.images.rot90(turns, (2, 3)))),
                [turns] * len(LABELS),
            )
            for turns in range(4)
        ]
    )
    classes = cross_entropy(layer(module.head, features_of(module, step.images)), LABELS)
    assert loss.item() == pytest.approx(classes + 0.7 * rotations, rel=1e-5)


def test_rotation_subtracts_the_divergence_from_uniform_and_adds_the_loss_of_rotations() -> None:
    module, step = begun(RotPred())
    module.eval()
    features = module.features(step.images)
    batch = Batch(
        torch.full((len(LABELS),), -1),
        inputs=step.images,
        features=features.detach(),
        logits=module.head(features).detach(),
    )
    context: Any = SimpleNamespace(classifier=module)
    with torch.no_grad():
        scores = Rotation().restore({}, context).score(batch)
    p = np.exp(log_softmax(layer(module.head, features_of(module, step.images)), axis=1))
    expected = -(np.log((1 / CLASSES) / p) / CLASSES).sum(axis=1)
    for turns in range(4):
        turned = np.rot90(step.images.numpy(), turns, axes=(2, 3)).copy()
        logits = layer(module.rotation, features_of(module, torch.from_numpy(turned)))
        expected -= log_softmax(logits, axis=1)[:, turns] / 4
    assert numbers(scores) == pytest.approx(expected, rel=1e-5)


def test_rotation_says_which_classifier_it_needs() -> None:
    problem = toy_problem()
    with pytest.raises(PluginError, match="--classifier rotpred/resnet18"):
        Rotation().restore({}, problem.context(frozenset({Need.CLASSIFIER})))


def test_rotpred_refuses_images_that_are_not_square() -> None:
    with pytest.raises(InvalidParameter, match="square images, not 6x8"):
        RotPred().on(ThreeClasses()).build((1, 6, 8), CLASSES)


def test_vos_tells_outliers_by_a_weighted_energy() -> None:
    recipe = VirtualOutliers(weight=0.4, start=0.5, kept=5)
    module, step = begun(recipe)
    drawn = []
    draw = module.outliers.draw
    module.outliers.draw = lambda *given: drawn.append(draw(*given)) or drawn[0]
    with torch.no_grad():
        module.outliers.weight[1] = -0.3
    loss, logits = recipe.objective(step)
    weights = np.maximum(numbers(module.outliers.weight), 0)
    assert weights[1] == 0
    every = np.concatenate([numbers(logits), layer(module.head, numbers(drawn[0]))])
    energies = logsumexp(every, b=weights, axis=1)
    known = [1] * len(LABELS) + [0] * CLASSES
    told = cross_entropy(layer(module.outliers.regression, energies[:, None]), known)
    classes = cross_entropy(layer(module.head, features_of(module, step.images)), LABELS)
    assert loss.item() == pytest.approx(classes + 0.4 * told, rel=1e-5)


def test_vos_draws_no_outliers_before_its_start() -> None:
    recipe = VirtualOutliers(start=0.5)
    module, step = begun(recipe, done=0.49)
    loss, logits = recipe.objective(step)
    assert loss.item() == pytest.approx(cross_entropy(numbers(logits), LABELS), rel=1e-5)
    assert module.outliers.count.tolist() == [2, 4, 1]


def test_vos_keeps_the_last_features_of_each_class() -> None:
    module, _ = begun(VirtualOutliers(kept=3))
    features = torch.arange(5 * 8.0).reshape(5, 8)
    module.outliers.keep(features[:2], torch.tensor([1, 1]))
    module.outliers.keep(features[2:], torch.tensor([1, 0, 1]))
    kept = {tuple(row) for row in module.outliers.queue[1].tolist()}
    assert kept == {tuple(row) for row in features[[1, 2, 4]].tolist()}
    assert module.outliers.count.tolist() == [1, 4, 0]


def test_vos_draws_from_the_means_of_classes_and_the_covariance_about_them() -> None:
    module, _ = begun(VirtualOutliers(kept=6))
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(9, 8, generator=generator).round(decimals=1)
    labels = torch.tensor([0, 0, 0, 0, 2, 2, 2, 2, 2])
    module.outliers.keep(features, labels)
    means, factor = module.outliers.normal()
    values = numbers(features)
    expected = np.stack([values[labels == label].mean(axis=0) for label in (0, 2)])
    centred = values - expected[(labels == 2).long()]
    covariance = centred.T @ centred / 9 + 1e-4 * np.eye(8)
    assert means.numpy() == pytest.approx(expected, abs=1e-6)
    assert (factor @ factor.T).numpy() == pytest.approx(covariance, abs=1e-6)


def test_vos_takes_the_least_likely_of_many_draws() -> None:
    module, _ = begun(VirtualOutliers(kept=50))
    module.outliers.keep(torch.randn(50, 8), torch.zeros(50, dtype=torch.int64))
    means, factor = module.outliers.normal()
    generator = torch.Generator().manual_seed(0)
    found = torch.cat([module.outliers.draw(100, generator) for _ in range(400)]).double()
    deviates = torch.linalg.solve_triangular(factor, (found - means).T, upper=False).T
    candidates = np.random.default_rng(0).normal(size=(400, 100, 8))
    norms = (candidates**2).sum(axis=2)
    least_likely = np.sqrt(norms.max(axis=1))
    distances = deviates.norm(dim=1).numpy()
    assert distances.mean() == pytest.approx(least_likely.mean(), abs=0.06)
    assert distances.std() == pytest.approx(least_likely.std(), rel=0.15)
    assert deviates.mean(dim=0).abs().max() < 5 * distances.mean() / np.sqrt(8 * 400)


def test_cider_moves_prototypes_by_every_point_and_weighs_compactness() -> None:
    recipe = Cider(weight=1.5, temperature=0.2, momentum=0.6, dimensions=4)
    module, step = begun(recipe)
    prototypes = numbers(module.sphere.prototypes)
    loss, logits = recipe.objective(step)
    features = np.concatenate([features_of(module, step.images)] * 2)
    labels = LABELS.tolist() * 2
    hidden = np.maximum(layer(module.sphere.hidden, features), 0)
    points = unit(layer(module.sphere.output, hidden))
    for point, label in zip(points, labels, strict=True):
        prototypes[label] = unit(0.6 * prototypes[label] + 0.4 * point)
    dispersion = np.mean(
        [
            np.log(
                np.mean([np.exp(prototypes[c] @ prototypes[j] / 0.2) for j in range(3) if j != c])
            )
            for c in range(3)
        ]
    )
    compactness = cross_entropy(points @ prototypes.T / 0.2, labels)
    probe = cross_entropy(layer(module.head, features), labels)
    assert loss.item() == pytest.approx(dispersion + 1.5 * compactness + probe, rel=1e-5)
    assert numbers(module.sphere.prototypes) == pytest.approx(prototypes, abs=1e-6)
    assert len(logits) == 2 * len(LABELS)


def test_the_linear_probe_of_cider_does_not_change_features() -> None:
    recipe = Cider()
    module, step = begun(recipe)
    torch.autograd.backward(recipe.objective(step)[0])
    with_probe = module.body[1].weight.grad.clone()
    module, step = begun(recipe)
    recipe.loss = lambda logits, labels, done: 0 * logits.sum()
    torch.autograd.backward(recipe.objective(step)[0])
    assert torch.equal(module.body[1].weight.grad, with_probe)


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [
        (T2FNorm, {"temperature": 0}),
        (RotPred, {"weight": -1}),
        (VirtualOutliers, {"start": 1}),
        (VirtualOutliers, {"kept": 0}),
        (Cider, {"momentum": 1}),
        (Cider, {"dimensions": 0}),
    ],
)
def test_parameters_out_of_range_are_refused(recipe, wrong) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        recipe(**wrong)
