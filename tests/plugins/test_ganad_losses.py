"""The losses are equations (2) to (10)."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from oodbench_ganad import losses, recipes
from oodbench_ganad.layers import LeakyReLU
from oodbench_ganad.networks import Critic

SHAPE = (1, 3, 3)
CLASSES = torch.tensor([0, 1, 1, 2])


class LinearCritic(nn.Module):
    """D(x, y) = w x + 10 y."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images, classes):
        return images.flatten(1) @ self.weight + 10.0 * classes


class FixedClassifier(nn.Module):
    """Give the logits (m, 0, 0), m the mean brightness times nine."""

    def forward(self, images):
        brightness = images.sum(dim=(1, 2, 3))
        return torch.stack([brightness, 0 * brightness, 0 * brightness], dim=1)


@pytest.fixture
def images():
    return torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [0.0, 0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_the_squared_distance_of_its_slope_from_one(size, images):
    weight = torch.zeros(9)
    weight[4] = size
    penalty = losses.gradient_penalty(LinearCritic(weight), images, CLASSES)
    assert penalty.item() == pytest.approx((size - 1) ** 2)


def test_penalty_pulls_the_slope_of_a_linear_critic_towards_one(images):
    critic = LinearCritic(torch.full((9,), 2.0))  # slope 6
    losses.gradient_penalty(critic, images, CLASSES).backward()
    expected = 2 * (6 - 1) * critic.weight.detach() / 6
    torch.testing.assert_close(critic.weight.grad, expected)


def small_critic():
    architecture = recipes.Architecture(seed_length=4, generator_width=4, critic_width=4)
    torch.manual_seed(1)
    return Critic(architecture, (1, 8, 8), 3).double()


def test_penalty_agrees_with_finite_differences():
    critic = small_critic()
    points = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    classes = torch.tensor([0, 2])
    step = 1e-5

    def slope(point, chosen):
        moves = step * torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)
        chosen = chosen.expand(64)
        with torch.no_grad():
            differences = critic(point + moves, chosen) - critic(point - moves, chosen)
        return (differences / (2 * step)).norm()

    expected = sum((slope(p, c) - 1) ** 2 for p, c in zip(points, classes, strict=True)) / 2
    penalty = losses.gradient_penalty(critic, points, classes)
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradient_of_the_penalty_agrees_with_finite_differences():
    critic = small_critic()
    points = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    classes = torch.tensor([0, 2])
    weight = critic.body[0].weight
    penalty = losses.gradient_penalty(critic, points, classes)
    (gradient,) = torch.autograd.grad(penalty, weight)
    step = 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0, 1, 1] += sign * step
        values.append(losses.gradient_penalty(critic, points, classes).item())
        with torch.no_grad():
            weight[0, 0, 1, 1] -= sign * step
    slope = (values[0] - values[1]) / (2 * step)
    assert gradient[0, 0, 1, 1].item() == pytest.approx(slope, rel=1e-4)


def test_leaky_relu_has_the_values_and_both_gradients_of_pytorchs():
    weight = torch.randn(5, 5, dtype=torch.float64, requires_grad=True)
    points = torch.randn(3, 5, dtype=torch.float64)

    def computed(activation):
        x = points.clone().requires_grad_()
        values = activation(x @ weight)
        (gradient,) = torch.autograd.grad((values**2).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(gradient.norm(), weight)
        return values, gradient, second

    for own, known in zip(computed(LeakyReLU()), computed(nn.LeakyReLU(0.2)), strict=True):
        torch.testing.assert_close(own, known)


def test_critic_loss_is_fake_minus_real_plus_weighted_penalty(images):
    critic = LinearCritic(torch.full((9,), 1.0))  # slope 3
    fakes = torch.zeros_like(images)
    result = losses.critic_loss(critic, images, fakes, CLASSES, torch.rand(4), penalty_weight=10)
    brightness = images.flatten(1).sum(1).mean().item()  # the classes' share cancels
    assert result.distance.item() == pytest.approx(brightness, rel=1e-4)
    assert result.penalty.item() == pytest.approx(4)
    assert result.loss.item() == pytest.approx(40 - brightness, rel=1e-4)


def test_penalty_is_taken_between_the_real_image_and_the_fake():
    seen = []

    class Recorder(LinearCritic):
        def forward(self, images, classes):
            seen.append(images.detach())
            return super().forward(images, classes)

    real, fakes = torch.zeros(2, *SHAPE), torch.ones(2, *SHAPE)
    critic = Recorder(torch.ones(9))
    losses.critic_loss(critic, real, fakes, torch.tensor([0, 1]), torch.tensor([0.25, 1.0]), 10)
    between = next(images for images in seen if len(images) == 2)
    assert between[:, 0, 0, 0].tolist() == [0.25, 1.0]


def test_a_step_down_the_critic_loss_raises_real_above_fake(images):
    critic = LinearCritic(torch.full((9,), 1 / 3))
    fakes = 1 - images
    classes = torch.zeros(4, dtype=torch.int64)
    before = losses.critic_loss(critic, images, fakes, classes, torch.rand(4), 10)
    before.loss.backward()
    with torch.no_grad():
        critic.weight -= 1e-3 * critic.weight.grad
    after = losses.critic_loss(critic, images, fakes, classes, torch.rand(4), 10)
    assert after.distance > before.distance


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_generator_loss_mixes_critic_and_classifier(alpha):
    bright = torch.full((2, *SHAPE), 0.5)  # the classifier sees class 0 in both
    critic = LinearCritic(torch.ones(9))
    made_for = torch.tensor([0, 2])
    result = losses.generator_loss(critic, FixedClassifier(), bright, made_for, alpha)
    logits = torch.tensor([[4.5, 0.0, 0.0]]).repeat(2, 1)
    entropy = F.cross_entropy(logits, made_for).item()
    assert result.adversarial.item() == pytest.approx(-4.5)  # -D(x, 0): not of the classes made for
    assert result.loss.item() == pytest.approx(alpha * -4.5 + (1 - alpha) * entropy)
    assert result.accuracy.item() == 0.5


def test_cross_entropy_of_equal_logits_is_log_of_the_number_of_classes():
    dark = torch.zeros(1, *SHAPE)
    result = losses.generator_loss(
        LinearCritic(torch.ones(9)), FixedClassifier(), dark, torch.tensor([1]), alpha=0.0
    )
    assert result.loss.item() == pytest.approx(math.log(3))
