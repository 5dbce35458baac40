"""The networks are those of the paper's tables, and of any image shape."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from oodbench_ganad import recipes
from oodbench_ganad.layers import DownConvolution, UpConvolution
from oodbench_ganad.networks import Critic, Generator, initialise, place

TABLE_1_GENERATOR = [(32, 7, 7), (32, 14, 14), (32, 28, 28), (1, 28, 28)]
TABLE_1_CRITIC = [(32, 28, 28), (32, 14, 14), (32, 7, 7), (32, 3, 3), (32, 3, 3), (32,)]
TABLE_2_GENERATOR = [(160, 4, 4), (160, 8, 8), (160, 16, 16), (160, 32, 32), (3, 32, 32)]
TABLE_2_CRITIC = [(192, 32, 32), (192, 16, 16), (192, 8, 8), (192, 4, 4), (192, 4, 4), (192,)]

TABLES = {
    "table 1": (recipes.MNIST, (1, 28, 28), TABLE_1_GENERATOR, TABLE_1_CRITIC),
    "table 2": (recipes.CIFAR10, (3, 32, 32), TABLE_2_GENERATOR, TABLE_2_CRITIC),
}
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 15, 21), (2, 5, 3)]


def shapes_of_layers(network, layers, *inputs):
    """Return the shapes (without the batch) that layers put out, in the order of the network."""
    shapes = []
    hooks = [
        layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
        for layer in layers
    ]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return shapes


def seeds_and_classes(length, count=2):
    return torch.randn(count, length), torch.arange(count) % 10


@pytest.mark.parametrize("table", TABLES)
def test_generator_has_the_output_shapes_of_the_table(table):
    architecture, shape, expected, _ = TABLES[table]
    generator = Generator(architecture, shape, 10)
    layers = [
        generator.start,
        *(layer for layer in generator.body if type(layer).__name__ == "GeneratorBlock"),
        generator.body[-1],
    ]
    inputs = seeds_and_classes(architecture.seed_length)
    assert shapes_of_layers(generator, layers, *inputs) == expected


@pytest.mark.parametrize("table", TABLES)
def test_critic_has_the_output_shapes_of_the_table(table):
    architecture, shape, _, expected = TABLES[table]
    critic = Critic(architecture, shape, 10)
    layers = [critic.body[0], *critic.body[1:5], critic.body[-1]]
    inputs = (torch.rand(2, *shape), torch.tensor([0, 9]))
    assert shapes_of_layers(critic, layers, *inputs) == expected


@pytest.mark.parametrize("table", TABLES)
def test_dense_layers_have_the_sizes_of_the_table(table):
    architecture, (channels, height, width), *_ = TABLES[table]
    generator = Generator(architecture, (channels, height, width), 10)
    critic = Critic(architecture, (channels, height, width), 10)
    sizes = [
        (layer.in_features, layer.out_features)
        for network in (generator, critic)
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    ]
    assert (
        sizes
        == {
            "table 1": [(74, 1568), (10, 784), (32, 1)],
            "table 2": [(138, 2560), (10, 1024), (192, 1)],
        }[table]
    )


def test_table_1_has_two_convolutions_in_the_last_two_blocks_of_the_critic():
    critic = Critic(recipes.MNIST, (1, 28, 28), 10)
    counts = [
        sum(isinstance(layer, nn.Conv2d) for layer in block.modules()) for block in critic.body[:5]
    ]
    assert counts == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "architecture", [recipes.MNIST, recipes.FAST.architecture], ids=["residual", "plain"]
)
def test_networks_fit_images_of_any_shape(architecture, shape):
    seeds, classes = seeds_and_classes(architecture.seed_length, count=3)
    with torch.no_grad():
        images = Generator(architecture, shape, 3)(seeds, classes)
        values = Critic(architecture, shape, 3)(images, classes)
    assert images.shape == (3, *shape)
    assert ((images >= 0) & (images <= 1)).all()
    assert values.shape == (3,)


def test_generator_and_critic_depend_on_the_class():
    generator = Generator(recipes.MNIST, (1, 28, 28), 10).eval()
    critic = Critic(recipes.MNIST, (1, 28, 28), 10).eval()
    seeds, zeros = torch.randn(1, 64), torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        images = generator(seeds, zeros)
        assert not torch.allclose(images, generator(seeds, zeros + 1))
        assert critic(images, zeros) != critic(images, zeros + 1)


def test_down_convolution_is_convolution_then_average_pooling():
    layer = DownConvolution(2, 3)
    images = torch.randn(2, 2, 7, 10)
    pooled = F.avg_pool2d(F.conv2d(images, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(images), pooled)


def test_up_convolution_is_nearest_upsampling_then_convolution():
    layer = UpConvolution(2, 3)
    images = torch.randn(2, 2, 7, 10)
    enlarged = F.interpolate(images, scale_factor=2, mode="nearest")
    torch.testing.assert_close(
        layer(images), F.conv2d(enlarged, layer.weight, layer.bias, padding=1)
    )


def test_initial_weights_have_the_papers_deviation():
    critic = Critic(recipes.MNIST, (1, 28, 28), 10)
    initialise(critic, torch.Generator().manual_seed(0))
    weights = torch.cat([weight.flatten() for weight in critic.parameters() if weight.dim() > 1])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    assert all((layer.bias == 0).all() for layer in critic.modules() if hasattr(layer, "bias"))


def test_placing_a_network_keeps_its_function():
    critic = Critic(recipes.FAST.architecture, (1, 28, 28), 10)
    images, classes = torch.rand(2, 1, 28, 28), torch.tensor([3, 4])
    with torch.no_grad():
        before = critic(images, classes)
        torch.testing.assert_close(place(critic, torch.device("cpu"))(images, classes), before)
