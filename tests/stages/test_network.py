"""The layers of networks are found, read once, differentiated, and resumed from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from oodbench.contracts import FEATURES, Classifier, PluginError
from oodbench.stages.network import Network
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_classifiers.resnet18 import ResNet18
from oodbench_classifiers.timm_models import Timm
from oodbench_classifiers.torchvision_models import Torchvision
from oodbench_classifiers.wide_resnet import WideResNet

GREY, COLOUR, LARGE = (1, 28, 28), (3, 32, 32), (3, 64, 64)


def opened(classifier: Classifier, shape: tuple[int, int, int], *, named: bool = True) -> Network:
    torch.manual_seed(0)
    module = classifier.build(shape, 10).eval().requires_grad_(False)
    network = Network(module, "cpu")
    network.look_inside(classifier.layers(module) if named else {}, shape)
    return network


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("classifier", "shape", "expected"),
    [
        (PreactResNet(), GREY, [(32, 28, 28), (32, 14, 14), (32, 7, 7), (32, 4, 4)]),
        (WideResNet(), COLOUR, [(64, 32, 32), (128, 16, 16), (256, 8, 8)]),
        (ResNet18(), COLOUR, [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]),
    ],
)
def test_our_networks_name_the_layers_that_the_rule_finds(classifier, shape, expected, named):
    assert list(opened(classifier, shape, named=named).shapes.values()) == expected


@pytest.mark.parametrize(
    ("model", "shape", "names"),
    [
        ("resnet18", LARGE, ["layer1", "layer2", "layer3", "layer4"]),
        ("resnet18", GREY, ["layer1", "layer2", "layer3", "layer4"]),
        ("wide_resnet50_2", COLOUR, ["layer1", "layer2", "layer3", "layer4"]),
        ("efficientnet_b0", LARGE, [f"features.{stage}" for stage in (1, 2, 3, 5, 8)]),
        ("vgg11", LARGE, [f"features.{place}" for place in (1, 4, 9, 14, 19)]),
        ("densenet121", LARGE, [f"features.denseblock{number}" for number in (1, 2, 3, 4)]),
        ("swin_t", LARGE, [f"features.{stage}" for stage in (1, 3, 5, 7)]),
    ],
)
def test_layers_of_networks_that_name_none(model, shape, names):
    found = opened(Torchvision(model=model, pretrained=False), shape)
    assert [name.removeprefix("network.") for name in found.shapes] == names


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("test_vit", ["blocks.1", "blocks.2", "blocks.4", "norm"]),
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("efficientnet_b0", ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "bn2"]),
        ("convnext_atto", ["stages.0", "stages.1", "stages.2", "stages.3"]),
    ],
)
def test_layers_of_models_of_timm(model, names):
    pytest.importorskip("timm")
    found = opened(Timm(model=model, pretrained=False), (3, 224, 224))
    assert [name.removeprefix("network.") for name in found.shapes] == names


def test_layers_of_a_transformer_are_tokens_of_each_quarter_of_its_blocks():
    torchvision = pytest.importorskip("torchvision")
    transformer = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=8, num_heads=2, hidden_dim=12, mlp_dim=24
    )

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.head = transformer, nn.Linear(1000, 10)

        def features(self, x):
            return self.network(x)

        def forward(self, x):
            return self.head(self.features(x))

    network = Network(Whole().eval().requires_grad_(False), "cpu")
    network.look_inside({}, COLOUR)
    blocks = [f"encoder.layers.encoder_layer_{number}" for number in (1, 3, 5)]
    assert [name.removeprefix("network.") for name in network.shapes] == [*blocks, "encoder.ln"]
    assert set(network.shapes.values()) == {(17, 12)}


class Plain(nn.Module):
    """A network without blocks whose activations are no modules, but for one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 4, 3, stride=2)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 2)

    def features(self, x):
        return self.act(self.second(self.first(x).relu())).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


def test_a_network_without_maps_has_no_layers():
    module = nn.Sequential()
    module.features, module.head = nn.Flatten(), nn.Linear(64, 10)
    with pytest.raises(PluginError, match="no layer that puts out maps or tokens"):
        Network(module, "cpu").look_inside({}, (1, 8, 8))


class Energy:
    def differentiated(self, features, logits):
        return logits.logsumexp(dim=1)


def test_gradients_are_those_of_the_rest_of_the_network():
    torch.manual_seed(0)
    module = Plain().requires_grad_(False)
    network = Network(module, "cpu")
    network.look_inside({"first": module.first, "act": module.act}, (1, 8, 8))
    images = torch.rand(5, 1, 8, 8)
    layers = network(images, gradients=True).layers(Energy())
    first = module.first(images).requires_grad_()
    act = module.act(module.second(first.relu()))
    features = act.mean((2, 3))
    energies = module.head(features).logsumexp(dim=1).sum()
    expected = torch.autograd.grad(energies, [first, act, features])
    for found, gradient in zip(layers.gradients.values(), expected, strict=True):
        torch.testing.assert_close(found, gradient)
    assert list(layers.gradients) == ["first", "act", FEATURES]
    torch.testing.assert_close(layers.outputs["act"], act)
    assert not any(output.requires_grad for output in layers.outputs.values())


def test_gradients_have_to_be_asked_for():
    network = opened(PreactResNet(width=4), GREY)
    with pytest.raises(PluginError, match=r"does not declare Need\.LAYER_GRADIENTS"):
        _ = network(torch.rand(2, *GREY)).layers().gradients


@pytest.mark.parametrize(
    ("classifier", "shape"),
    [
        (PreactResNet(width=4), GREY),
        (ResNet18(), COLOUR),
        (Torchvision(model="efficientnet_b0", pretrained=False), LARGE),
        (Torchvision(model="swin_t", pretrained=False), LARGE),
    ],
)
def test_only_what_follows_a_layer_is_computed_to_resume_from_it(classifier, shape):
    network = opened(classifier, shape)
    images = torch.rand(3, *shape)
    passed = network(images)
    layers = passed.layers()
    name = list(layers.outputs)[-2]
    torch.testing.assert_close(layers.resume(name, layers.outputs[name]), layers.logits)
    assert not torch.equal(layers.resume(name, 0.5 * layers.outputs[name]), layers.logits)
    assert network.forwarded == 3
    assert not any(module._forward_hooks for module in network._module.modules())
    torch.testing.assert_close(network(images).logits, layers.logits)


def test_images_pass_again_where_later_modules_read_earlier_outputs():
    class Skips(Plain):
        def features(self, x):
            first = self.first(x)
            return self.act(self.second(first)).mean((2, 3)) + first.mean()

    module = Skips().requires_grad_(False)
    network = Network(module, "cpu")
    network.look_inside({"second": module.second}, (1, 8, 8))
    images = torch.rand(5, 1, 8, 8)
    layers = network(images).layers()
    torch.testing.assert_close(layers.resume("second", layers.outputs["second"]), layers.logits)
    assert network.forwarded == 10
