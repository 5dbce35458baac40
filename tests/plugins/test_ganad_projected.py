"""GANAD's networks for photographs are those of Miyato and Koyama, and train as the others do."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_ganad_training import Kept, context, interrupt, same, stream
from torch import nn

from oodbench_ganad import recipes, training
from oodbench_ganad.gan import Wgan
from oodbench_ganad.layers import UpConvolution
from oodbench_ganad.networks import make_critic, make_generator
from oodbench_ganad.optimization import AveragedWeights
from oodbench_ganad.projected import (
    ClassNorm,
    DownBlock,
    ProjectedCritic,
    SpectralConvolution,
    SpectralLinear,
    UpBlock,
)

SMALL = recipes.Architecture(
    seed_length=6,
    generator_width=4,
    critic_width=4,
    growth=2,
    generator_limit=12,
    critic_limit=8,
    blocks="projected",
)
SHAPES = [(3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 15, 21), (2, 5, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_networks_fit_images_of_any_shape(shape):
    classes = torch.arange(3)
    with torch.no_grad():
        images = make_generator(SMALL, shape, 3)(torch.randn(3, 6), classes)
        values = make_critic(SMALL, shape, 3)(images, classes)
    assert images.shape == (3, *shape)
    assert ((images >= 0) & (images <= 1)).all()
    assert values.shape == (3,)


def test_channels_grow_up_to_the_limit_as_the_resolution_falls():
    generator = make_generator(SMALL, (3, 32, 32), 3)
    ups = [each for each in generator.modules() if isinstance(each, UpConvolution)]
    assert [(each.in_channels, each.out_channels) for each in ups] == [(12, 12), (12, 8), (8, 4)]
    critic = make_critic(SMALL, (3, 32, 32), 3)
    blocks = [each for each in critic.modules() if isinstance(each, DownBlock)]
    seen = [(each.first.in_channels, each.first.out_channels, each.second.down) for each in blocks]
    assert seen == [(3, 4, True), (4, 8, True), (8, 8, False), (8, 8, False)]


@pytest.mark.parametrize("make", [lambda: SpectralConvolution(5, 7), lambda: SpectralLinear(5, 7)])
def test_layers_of_the_critic_have_a_spectral_norm_of_one(make):
    layer = make()
    given = torch.rand(2, 5, 4, 4) if isinstance(layer, nn.Conv2d) else torch.rand(2, 5)
    for _ in range(50):
        layer(given)
    matrix = layer.weight.detach().flatten(1)
    ways = {nn.Conv2d: lambda w: F.conv2d(given, w, layer.bias, padding=1)}
    compute = ways.get(type(layer).__base__, lambda w: F.linear(given, w, layer.bias))
    expected = compute(layer.weight / torch.linalg.matrix_norm(matrix, ord=2))
    torch.testing.assert_close(layer(given), expected, rtol=1e-3, atol=1e-4)


def test_the_gradient_goes_through_the_spectral_norm():
    layer = SpectralLinear(3, 2, bias=False)
    for _ in range(50):
        layer(torch.zeros(1, 3))
    layer(torch.ones(1, 3)).sum().backward()
    along = (layer.weight.grad * layer.weight).sum()  # a larger matrix gives the same function
    assert along.item() == pytest.approx(0, abs=1e-5)


def test_scoring_does_not_move_the_estimate_of_the_spectral_norm():
    critic = make_critic(SMALL, (3, 8, 8), 3).eval()
    before = copy.deepcopy(critic.state_dict())
    critic(torch.rand(2, 3, 8, 8), torch.tensor([0, 2]))
    assert same(before, critic.state_dict())


def test_a_spectral_convolution_can_pool():
    plain, pooling = SpectralConvolution(2, 3).eval(), SpectralConvolution(2, 3, down=True).eval()
    pooling.load_state_dict(plain.state_dict())
    images = torch.randn(2, 2, 7, 10)
    torch.testing.assert_close(pooling(images), F.avg_pool2d(plain(images), 2))


def test_an_up_block_adds_its_change_to_the_enlarged_input():
    block = UpBlock(3, 3, 2)
    nn.init.zeros_(block.convolution.weight)
    nn.init.zeros_(block.convolution.bias)
    x, classes = torch.randn(2, 3, 4, 5), F.one_hot(torch.tensor([0, 1]), 2).float()
    torch.testing.assert_close(block(x, classes), F.interpolate(x, scale_factor=2))


def test_the_scale_and_shift_of_a_normalisation_are_those_of_the_class():
    norm = ClassNorm(2, 3).eval()
    x, classes = torch.randn(3, 2, 4, 4), torch.tensor([2, 0, 1])
    scale = 1 + norm.scale.weight.T[classes] + norm.scale.bias
    expected = x * scale[:, :, None, None] + norm.shift.weight.T[classes][:, :, None, None]
    found = norm(x, F.one_hot(classes, 3).float())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_critic_meets_the_class_by_an_inner_product():
    critic = ProjectedCritic(SMALL, (3, 8, 8), 3).eval()
    images = torch.rand(1, 3, 8, 8)
    values = critic(images.expand(3, -1, -1, -1), torch.arange(3))
    features = F.relu(critic.body(2 * images - 1)).sum(dim=(2, 3))
    class_vectors = critic.projection(torch.eye(3))
    torch.testing.assert_close(
        values, (critic.end(features) + class_vectors @ features[0]).squeeze(0)
    )


def test_photographs_have_larger_networks_in_the_fast_recipe():
    grey, colour = (recipes.recipe_for("fast", (c, 32, 32)) for c in (1, 3))
    assert grey is recipes.FAST
    assert colour is recipes.FAST_COLOUR
    assert colour.architecture.blocks == "projected"
    assert colour.detector.blocks == "residual"


def test_averaged_weights_move_by_the_share_that_is_not_kept():
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1.0)
    average = AveragedWeights(network, decay=0.9)
    nn.init.constant_(network.weight, 3.0)
    average.update()
    average.copy_to(network)
    assert network.weight.item() == pytest.approx(1.2)


@pytest.fixture
def recipe(monkeypatch):
    small = replace(recipes.FAST_COLOUR, architecture=SMALL, batch_size=20)
    monkeypatch.setattr(recipes, "FAST_COLOUR", small)


def test_the_generator_that_is_kept_has_averaged_weights_and_their_statistics(recipe, monkeypatch):
    monkeypatch.setattr(training, "STATISTICS", 200)
    last = {}
    gather = training.AdversarialTraining._gather_statistics

    def spy(self, size):
        last.update(average=self.average, optimizer=self.generator_optimizer)
        gather(self, size)

    monkeypatch.setattr(training.AdversarialTraining, "_gather_statistics", spy)
    shape = (3, 8, 8)
    wgan = Wgan(steps=3).fit(stream(shape), context(shape))
    kept = [weight.detach() for weight in wgan.generator_.parameters()]
    for weight, average in zip(kept, last["average"].averages, strict=True):
        torch.testing.assert_close(weight, average.half().float())
    classes = torch.arange(2000) % 4
    seen = []
    wgan.generator_.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        wgan.generator_(torch.randn(2000, 6), classes)
    mean = seen[0].mean(dim=(0, 2, 3))
    torch.testing.assert_close(mean, wgan.generator_.norm.running_mean, rtol=0.2, atol=0.01)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_interrupted_training_goes_on_to_the_same_weights(precision, recipe, monkeypatch):
    monkeypatch.setattr(training, "REPORT_EVERY", 2)
    shape = (3, 8, 8)
    train = stream(shape, count=100)

    def train_to_the_end(**settings):
        return Wgan(steps=7).fit(train, context(shape, precision=precision, **settings))

    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        train_to_the_end(checkpoint=kept, progress=interrupt)
    assert kept.state["generator_optimizer/done"] == 4
    on = train_to_the_end(checkpoint=kept)
    assert same(on.state(), train_to_the_end().state())


def test_16_bits_hold_the_weights_exactly(recipe):
    shape = (3, 8, 8)
    wgan = Wgan(steps=2).fit(stream(shape), context(shape))
    floats = [value for value in wgan.state().values() if value.is_floating_point()]
    assert len(floats) > 50
    assert all(torch.equal(value.half().float(), value) for value in floats)
