"""The losses are equations (2) to (10)."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from oodbench_ganad import losses, recipes
from oodbench_ganad.layers import AveragePool, Convolution, DownConvolution, LeakyReLU
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


def values_and_gradients(layer, images):
    """Return values, gradients in images and weights, and those of a penalty in the weights."""
    x = images.clone().requires_grad_()
    values = layer(x)
    weights = list(layer.parameters())
    first = torch.autograd.grad((values**2).sum(), [x, *weights], retain_graph=True)
    (slope,) = torch.autograd.grad((values**3).sum(), x, create_graph=True)
    penalty = slope.flatten(1).norm(dim=1).sub(1).square().mean()
    return values, *first, slope, *torch.autograd.grad(penalty, weights)


@pytest.mark.parametrize("size", [(7, 7), (8, 6), (3, 5)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_a_convolution_has_the_values_and_both_gradients_of_pytorchs(size, kernel, stride):
    own = Convolution(2, 3, size=kernel, stride=stride).double()
    known = nn.Conv2d(2, 3, kernel, stride, padding=1).double()
    known.load_state_dict(own.state_dict())
    images = torch.randn(4, 2, *size, dtype=torch.float64)
    front = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh()).double()
    ours, theirs = (values_and_gradients(nn.Sequential(front, end), images) for end in (own, known))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("size", [(7, 7), (8, 6), (2, 3)])
def test_average_pooling_has_the_values_and_both_gradients_of_pytorchs(size):
    weight = torch.randn(2, 2, 1, 1, dtype=torch.float64, requires_grad=True)
    images = torch.randn(4, 2, *size, dtype=torch.float64)

    def computed(pool):
        x = images.clone().requires_grad_()
        values = pool(torch.nn.functional.conv2d(x, weight))
        (slope,) = torch.autograd.grad((values**3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope.norm(), weight)
        return values, slope, second

    for own, known in zip(computed(AveragePool()), computed(nn.AvgPool2d(2)), strict=True):
        torch.testing.assert_close(own, known)


def test_the_penalty_of_the_papers_critic_is_that_of_pytorchs_own_layers():
    critic = Critic(recipes.MNIST, (1, 28, 28), 10).double()
    plain = copy.deepcopy(critic)
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DownConvolution):
                new = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1).double(), nn.AvgPool2d(2))
                new[0].load_state_dict(child.state_dict())
                setattr(parent, name, new)
            elif isinstance(child, Convolution):
                new = nn.Conv2d(child.in_channels, 32, 3, padding=1).double()
                new.load_state_dict(child.state_dict())
                setattr(parent, name, new)
            elif isinstance(child, LeakyReLU | AveragePool):
                kind = nn.LeakyReLU(0.2) if isinstance(child, LeakyReLU) else nn.AvgPool2d(2)
                setattr(parent, name, kind)
    real, fakes = torch.rand(2, 5, 1, 28, 28, dtype=torch.float64)
    classes, mixing = torch.arange(5), torch.rand(5, dtype=torch.float64)
    found = []
    for network in (critic, plain):
        result = losses.critic_loss(network, real, fakes, classes, mixing, 10.0)
        torch.autograd.backward(result.loss)
        found.append((result.loss, [weight.grad for weight in network.parameters()]))
    for own, known in zip(*found, strict=True):
        torch.testing.assert_close(own, known)


def test_a_step_of_the_generator_leaves_no_gradients_in_the_critic():
    critic = Critic(recipes.FAST.architecture, (1, 8, 8), 3)
    fakes = torch.rand(6, 1, 8, 8, requires_grad=True)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    loss = losses.generator_loss(critic, classifier, fakes, torch.arange(6) % 3, 0.5).loss
    loss.backward()
    assert fakes.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in critic.parameters())


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


def test_the_hinge_loss_counts_what_lies_within_the_margin(images):
    class Values(nn.Module):
        def forward(self, images, classes):
            return torch.tensor([2.0, 0.5, -1.0, 0.0, -2.0, -0.5, 1.0, 0.0])

    found = losses.hinge_loss(Values(), images, images, CLASSES)
    assert found.loss.item() == pytest.approx((0 + 0.5 + 2 + 1) / 4 + (0 + 0.5 + 2 + 1) / 4)
    assert found.distance.item() == pytest.approx(1.5 / 4 + 1.5 / 4)
    assert found.penalty == 0


def test_the_critic_is_told_the_own_classes_of_fakes_that_the_classifier_does_not_see(images):
    told, seen = [], []

    class Critic(LinearCritic):
        def forward(self, images, classes):
            told.append(classes.tolist())
            return super().forward(images, classes)

    class Classifier(FixedClassifier):
        def forward(self, images):
            seen.append(len(images))
            return super().forward(images)

    classes = torch.tensor([1, 2, 1, 2])
    loss = losses.generator_loss(
        Critic(torch.zeros(9)), Classifier(), images, classes, alpha=0.0, classified=2
    )
    assert seen == [2]
    assert told == [[0, 0, 1, 2]]
    logits = FixedClassifier()(images[:2])
    assert loss.loss.item() == pytest.approx(F.cross_entropy(logits, classes[:2]).item())
    assert loss.accuracy == 0
