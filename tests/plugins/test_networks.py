"""ResNet-18, and models of torchvision and timm by name, are networks as detectors expect them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from oodbench.contracts import DataUnavailable, InvalidParameter
from oodbench_classifiers.augmentation import cut_out, mirrored, shifted
from oodbench_classifiers.resnet18 import ResNet18
from oodbench_classifiers.timm_models import Timm
from oodbench_classifiers.torchvision_models import Torchvision
from oodbench_classifiers.wrappers import LastLinear, PreLogits, tried

SMALL = "shufflenet_v2_x0_5"
COLOUR, GREY = (3, 32, 32), (1, 28, 28)


def images(shape: tuple[int, int, int], count: int = 2) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def test_resnet18_sees_small_images_at_full_resolution() -> None:
    module = ResNet18().build(COLOUR, 10).eval()
    sizes = []
    module.network.layer1.register_forward_hook(lambda *of: sizes.append(of[2].shape))
    with torch.no_grad():
        assert module.features(images(COLOUR)).shape == (2, 512)
    assert sizes == [(2, 64, 32, 32)]


def test_names_of_resnet18s_weights_are_torchvisions() -> None:
    from torchvision.models import resnet18

    ours = ResNet18().build(COLOUR, 10).network.state_dict()
    theirs = resnet18(num_classes=10).state_dict()
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if ours[name].shape != theirs[name].shape]
    assert different == ["conv1.weight"]


def test_resnet18_normalises_as_it_is_told() -> None:
    plain, cifar = (ResNet18(normalisation=name).build(COLOUR, 10) for name in ("none", "cifar10"))
    blank = torch.zeros(1, *COLOUR)
    assert torch.equal(plain.normalised(blank), blank)
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    assert torch.allclose(cifar.normalised(blank)[0, :, 0, 0], -mean / std)


def test_each_image_is_moved_by_its_own_whole_number_of_pixels() -> None:
    spot = torch.zeros(40, 1, 9, 9)
    spot[:, :, 4, 4] = 1
    moved = shifted(spot, 2, torch.Generator().manual_seed(0))
    assert moved.sum((1, 2, 3)).tolist() == [1] * 40
    places = {tuple(place.tolist()) for place in moved[:, 0].nonzero()[:, 1:]}
    assert len(places) > 10
    assert all(2 <= row <= 6 and 2 <= column <= 6 for row, column in places)


def test_about_half_of_the_images_are_mirrored() -> None:
    given = images((3, 4, 5), 100)
    found = mirrored(given, torch.Generator().manual_seed(0))
    changed = [not torch.equal(*pair) for pair in zip(given, found, strict=True)]
    assert 30 < sum(changed) < 70
    assert torch.equal(found[changed], given[changed].flip(3))


def test_a_square_of_each_image_turns_grey() -> None:
    white = torch.ones(1000, 3, 9, 7)
    cut = cut_out(white, 4, torch.Generator().manual_seed(0))
    assert torch.equal(cut_out(white, 0, torch.Generator()), white)
    assert set(cut.unique().tolist()) == {0.5, 1.0}
    sizes = (cut[:, 0] == 0.5).sum((1, 2)).tolist()
    assert max(sizes) == 16  # all of it inside
    assert min(sizes) == 4  # around a corner
    for image in cut:
        rows, columns = (image[0] == 0.5).nonzero(as_tuple=True)
        height, width = (int(side.max() - side.min()) + 1 for side in (rows, columns))
        assert height * width == len(rows)
        assert (image == image[0]).all()


@pytest.mark.parametrize("shape", [COLOUR, GREY])
def test_a_model_of_torchvision_is_found_by_name(shape: tuple[int, int, int]) -> None:
    module = Torchvision(model=SMALL).build(shape, 7).eval()
    with torch.no_grad():
        features = module.features(images(shape))
        assert features.shape == (2, 1024)
        assert torch.allclose(module.head(features), module(images(shape)))


def test_models_that_cannot_be_used_are_refused_with_the_reason() -> None:
    for model, reason in (
        ("resnet81", r"torchvision/resnet81: torchvision has no such model; did you mean resnet1"),
        ("squeezenet1_1", "torchvision/squeezenet1_1: it has no linear layer"),
        (
            "alexnet",
            r"alexnet: it does not take images of 28x28 .*; try --set torchvision.size=224",
        ),
    ):
        with pytest.raises(InvalidParameter, match=reason):
            Torchvision(model=model).build(GREY, 10)


def test_images_are_resized_in_the_network_where_that_is_asked_for() -> None:
    module = Torchvision(model=SMALL, size=64).build(GREY, 10)
    assert module.normalised(images(GREY)).shape == (2, 3, 64, 64)


def test_a_last_layer_that_sees_more_than_the_features_is_refused() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(12, 3)

        def forward(self, x):
            return 2 * self.last(x.flatten(1))

    module = LastLinear(Doubled(), [0.5] * 3, [0.5] * 3)
    with pytest.raises(InvalidParameter, match="its last layer does not make its logits"):
        tried(module, (3, 2, 2), 3, "")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch) -> dict[str, torch.Tensor]:
    """Put weights where torchvision keeps what it has downloaded, and return them."""
    from torchvision import models

    network = models.get_model(SMALL, weights=None)
    for value in network.parameters():
        nn.init.normal_(value)
    state = network.state_dict()
    name = models.get_model_weights(SMALL).DEFAULT.url.rpartition("/")[2]
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return state


def test_torchvisions_weights_are_taken_if_the_number_of_classes_fits(weights) -> None:
    classifier = Torchvision(model=SMALL)
    module = classifier.build(COLOUR, 1000)
    assert classifier.load(module, 1000)
    found = module.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in weights.items())


@pytest.mark.parametrize(("pretrained", "classes"), [(True, 10), (False, 1000)])
def test_else_a_model_of_torchvision_is_trained_here(weights, pretrained, classes) -> None:
    classifier = Torchvision(model=SMALL, pretrained=pretrained)
    assert not classifier.load(classifier.build(COLOUR, classes), classes)


def test_weights_that_cannot_be_fetched_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    classifier = Torchvision(model=SMALL)
    with pytest.raises(DataUnavailable, match=r"cannot be fetched .*torchvision.pretrained=no"):
        classifier.load(classifier.build(COLOUR, 1000), 1000)


@pytest.mark.parametrize("shape", [COLOUR, GREY])
@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_a_model_of_timm_is_found_by_name(model: str, shape: tuple[int, int, int]) -> None:
    pytest.importorskip("timm")
    size = 160 if model == "test_vit" else 0
    module = Timm(model=model, size=size).build(shape, 7).eval()
    with torch.no_grad():
        features, logits = module.features(images(shape)), module(images(shape))
        assert torch.allclose(logits, module.network(module.normalised(images(shape))))
    assert features.shape == (2, module.head.in_features)


def test_what_timm_does_not_have_is_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(InvalidParameter, match="timm/resnet81: timm has no such model; did you"):
        Timm(model="resnet81").build(COLOUR, 10)


def test_weights_that_timm_does_not_have_are_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(InvalidParameter, match=r"timm/test_resnet.no: timm cannot make it: .*no"):
        Timm(model="test_resnet.no").build(COLOUR, 10)


def test_a_transformer_says_which_size_it_takes() -> None:
    pytest.importorskip("timm")
    with pytest.raises(
        InvalidParameter, match=r"vit_tiny_patch16_224: it does not take images of 32x32 .*size"
    ):
        Timm(model="vit_tiny_patch16_224").build(COLOUR, 10)


def test_timms_weights_are_taken_only_for_their_number_of_classes() -> None:
    pytest.importorskip("timm")
    classifier = Timm(model="test_resnet")
    assert not classifier.load(classifier.build(COLOUR, 10), 10)


def test_without_timm_one_sentence_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InvalidParameter, match=r"not installed: pip install 'oodbench\[timm\]'"):
        Timm().build(COLOUR, 10)


def test_a_model_of_several_heads_is_refused_for_that_reason() -> None:
    class Distilled(torch.nn.Module):
        def forward_features(self, x):
            return x

        def forward_head(self, x, pre_logits):
            return x.flatten(1)

        def get_classifier(self):
            return torch.nn.Linear(3072, 10), torch.nn.Linear(3072, 10)

    module = PreLogits(Distilled(), (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(InvalidParameter, match=r"^it has several heads"):
        tried(module, COLOUR, 10, "try a larger size")
