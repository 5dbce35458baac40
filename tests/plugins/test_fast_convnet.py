"""The fast convolutional network: filters, blocks, features and augmentation."""

from __future__ import annotations

import pytest
import torch

from oodbench_classifiers.augmentation import shifted
from oodbench_classifiers.fast_convnet import FastConvNet
from oodbench_classifiers.fast_network import (
    BIAS_FACTOR,
    FEATURE_SCALE,
    FastNetwork,
    Norm,
    Stem,
    cosines,
)
from oodbench_classifiers.quick_convnet import QuickConvNet

COLOUR, GREY = (3, 32, 32), (1, 28, 28)


def images(shape: tuple[int, int, int], count: int = 4) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> FastNetwork:
    torch.manual_seed(0)
    return FastConvNet(width=24).build(COLOUR, 10).eval()


def test_it_has_two_million_weights_and_256_features() -> None:
    module = FastConvNet().build(COLOUR, 10).eval()
    assert sum(weight.numel() for weight in module.parameters()) == 1_971_362
    assert module.features(images(COLOUR)).shape == (4, 256)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_features_and_outputs_of_blocks_are_never_negative(network, precision) -> None:
    outputs = []
    layers = FastConvNet(width=24).layers(network)
    assert [*layers] == ["block1", "block2", "block3"]
    for block in layers.values():
        block.register_forward_hook(lambda *of: outputs.append(of[2]))
    with torch.no_grad(), torch.autocast("cpu", dtype=precision, enabled=precision.itemsize < 4):
        features = network.features(images(COLOUR))
    assert features.dtype == torch.float32
    assert [tuple(maps.shape[1:]) for maps in outputs] == [(24, 15, 15), (96, 7, 7), (96, 3, 3)]
    assert all((values >= 0).all() for values in (features, *outputs))


@pytest.mark.parametrize("shape", [(1, 8, 8), GREY, (3, 64, 64)])
def test_it_takes_images_of_other_sizes(shape: tuple[int, int, int]) -> None:
    module = FastConvNet(width=24).build(shape, 7).eval()
    assert module(images(shape)).shape == (4, 7)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_cosines_are_an_orthonormal_basis(n: int) -> None:
    assert torch.allclose(cosines(n) @ cosines(n).T, torch.eye(n), atol=1e-6)
    assert torch.allclose(cosines(n)[0], torch.full((n,), n**-0.5))


def test_the_stem_whitens_brightness_and_contrasts() -> None:
    stem = Stem(3).train()
    given = 0.5 + 0.1 * torch.randn(64, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    kept, negated = stem(given).chunk(2, 1)
    whole = kept - negated
    assert torch.allclose(whole.mean((0, 2, 3)), torch.zeros(12), atol=1e-4)
    assert torch.allclose(whole.std((0, 2, 3)), torch.ones(12), atol=0.01)


def test_small_differences_of_bright_pixels_survive_bfloat16() -> None:
    stem = Stem(1).eval()
    bright = torch.full((1, 1, 2, 2), 0.9)
    brighter = bright + torch.tensor([[0.0, 0.001], [0.0, 0.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(stem(bright)[:, 1:4], stem(brighter)[:, 1:4])


def test_filters_begin_by_passing_their_input_on() -> None:
    block = FastConvNet(width=24).build(COLOUR, 10).block2
    given = images((24, 6, 6))
    assert torch.allclose(block.conv1(given)[:, :24], given, atol=1e-6)


def test_biases_learn_faster_by_the_square_of_their_factor() -> None:
    norm = Norm(2)
    (norm(images((2, 3, 3))) * 0.5).sum().backward()
    gradient = 0.5 * 4 * 9
    before, after = 0.0, -float(norm.shift.grad[0]) * BIAS_FACTOR
    assert after - before == pytest.approx(-(BIAS_FACTOR**2) * gradient)


def test_what_comes_in_is_the_mirrored_image() -> None:
    ramp = torch.arange(5.0).expand(1, 1, 5, 5)
    for seed in range(20):
        (row,) = {
            tuple(line.tolist())
            for line in shifted(ramp, 2, torch.Generator().manual_seed(seed), "reflect")[0, 0]
        }
        whole = (2, 1, 0, 1, 2, 3, 4, 3, 2)
        assert row in {whole[start : start + 5] for start in range(5)}


def test_features_are_the_means_of_the_last_maps() -> None:
    module = FastConvNet(width=24).build(COLOUR, 10).eval()
    images = torch.rand(4, *COLOUR, generator=torch.Generator().manual_seed(0))
    maps = []
    module.block3.register_forward_hook(lambda *given: maps.append(given[2]))
    with torch.no_grad():
        features = module.features(images)
    assert torch.allclose(features, FEATURE_SCALE * maps[0].mean((2, 3)), atol=1e-6)


def test_training_images_have_a_grey_square() -> None:
    white = torch.ones(50, *COLOUR)
    seen = FastConvNet(flip=False).augment(white, torch.Generator().manual_seed(0))
    grey = (seen == 0.5).sum((1, 2, 3))
    assert (grey > 0).all()
    assert grey.max() == 3 * 12 * 12


@pytest.mark.parametrize("wrong", [{"width": 23}, {"epochs": 0}, {"shift": -1}, {"cutout": -1}])
def test_a_parameter_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        FastConvNet(**wrong)


@pytest.mark.parametrize(("classifier", "rate"), [(FastConvNet(), 0.1), (QuickConvNet(), 0.4)])
def test_convolutions_learn_by_the_recipe_and_other_weights_at_a_rate_of_their_own(
    classifier: FastConvNet, rate: float
) -> None:
    module = classifier.build(COLOUR, 10)
    filters, *others = classifier.optimizer(module).param_groups
    assert (filters["lr"], filters["momentum"]) == (classifier.recipe.learning_rate, 0.6)
    assert {weight.ndim for weight in filters["params"]} == {4}
    assert [group["lr"] for group in others] == [rate, rate]


def test_few_epochs_train_the_same_network() -> None:
    quick, fast = (made.build(COLOUR, 10).state_dict() for made in (QuickConvNet(), FastConvNet()))
    assert {name: values.shape for name, values in quick.items()} == {
        name: values.shape for name, values in fast.items()
    }
    assert QuickConvNet().recipe.epochs < FastConvNet().recipe.epochs
