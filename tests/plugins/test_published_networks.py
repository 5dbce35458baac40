"""Weights that OpenOOD and pytorch-ood publish give the logits of the networks they come from."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.contracts import InvalidParameter
from oodbench.errors import InvalidData, UserError
from oodbench.identity.keys import identify
from oodbench.registry.lookup import load_registry
from oodbench.request.classifiers import make_classifier, names_of, record, remake

LOADED = load_registry()

CIFAR100 = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


class Block(nn.Module):
    """Two convolutions with a way around them, called ``shortcut`` or ``downsample``."""

    def __init__(self, before: int, after: int, stride: int, around: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.around = around
        if stride > 1 or before != after:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.add_module(around, nn.Sequential(conv, nn.BatchNorm2d(after)))

    def forward(self, x: Tensor) -> Tensor:
        kept = getattr(self, self.around)(x) if hasattr(self, self.around) else x
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + kept)


class ResNet(nn.Module):
    """OpenOOD's ResNet-18, for small images or for those of ImageNet."""

    def __init__(self, num_classes: int, *, small: bool) -> None:
        super().__init__()
        self.small = small
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(3, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for number, after in enumerate((64, 128, 256, 512), 1):
            around = "shortcut" if small else "downsample"
            first = Block(before, after, 1 if number == 1 else 2, around)
            self.add_module(f"layer{number}", nn.Sequential(first, Block(after, after, 1, around)))
            before = after
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = y if self.small else functional.max_pool2d(y, 3, 2, 1)
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        pooled = y.mean((2, 3)) if self.small else functional.avg_pool2d(y, 7, 2).flatten(1)
        return self.fc(pooled)


class WideBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        if before != after:
            self.convShortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(x))
        kept = self.convShortcut(y) if hasattr(self, "convShortcut") else x
        return kept + self.conv2(torch.relu(self.bn2(self.conv1(y))))


class Wide(nn.Module):
    """The wide residual network of OpenOOD and pytorch-ood."""

    def __init__(self, num_classes: int, depth: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        before = 16
        for number, after in enumerate((16 * width, 32 * width, 64 * width), 1):
            blocks = []
            for place in range((depth - 4) // 6):
                stride = 2 if number > 1 and place == 0 else 1
                blocks.append(WideBlock(before if place == 0 else after, after, stride))
            group = nn.Module()
            group.layer = nn.Sequential(*blocks)
            self.add_module(f"block{number}", group)
            before = after
        self.bn1 = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        for group in (self.block1, self.block2, self.block3):
            y = group.layer(y)
        return self.fc(torch.relu(self.bn1(y)).mean((2, 3)))


def library(name: str):
    """OpenOOD's own classes of these only add outputs to those of torchvision."""

    def make(num_classes: int) -> nn.Module:
        from torchvision import models

        return models.get_model(name, weights=None, num_classes=num_classes)

    return make


NETWORKS = {
    "openood/resnet18_32x32": (lambda k: ResNet(k, small=True), 32, CIFAR100),
    "openood/resnet18_64x64": (lambda k: ResNet(k, small=True), 64, CIFAR100),
    "openood/wrn": (lambda k: Wide(k, 28, 10), 32, CIFAR100),
    "pytorch-ood-wrn": (lambda k: Wide(k, 40, 2), 32, CIFAR10),
    "openood/resnet18_224x224": (lambda k: ResNet(k, small=False), 224, IMAGENET),
    "openood/resnet50": (library("resnet50"), 224, IMAGENET),
    "openood/vit_b_16": (library("vit_b_16"), 224, IMAGENET),
    "openood/swin_t": (library("swin_t"), 224, IMAGENET),
    "openood/regnet_y_16gf": (library("regnet_y_16gf"), 224, IMAGENET),
}


def randomise(network: nn.Module) -> nn.Module:
    """Give batch normalisation statistics that matter, and a head that is not zero."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    return network.eval()


def make(path: Path, arch: str, **chosen: object):
    return make_classifier(str(path), LOADED, {arch.split("/")[0]: chosen}, arch)


LARGE = {"openood/vit_b_16", "openood/regnet_y_16gf"}


@pytest.mark.parametrize(
    "arch",
    [pytest.param(arch, marks=[pytest.mark.slow] if arch in LARGE else []) for arch in NETWORKS],
)
def test_published_weights_give_the_logits_of_their_network(tmp_path: Path, arch: str) -> None:
    torch.manual_seed(1)
    written, side, (mean, std) = NETWORKS[arch]
    network = randomise(written(7))
    torch.save(network.state_dict(), tmp_path / "best.ckpt")
    usual = {IMAGENET: "imagenet", CIFAR100: "cifar100", CIFAR10: "auto"}[mean, std]
    classifier = make(tmp_path / "best.ckpt", arch, normalisation=usual)
    module = classifier.build((3, side, side), 7)
    assert classifier.load(module, 7)
    images = torch.rand(2, 3, side, side)
    normalised = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    module.eval()
    with torch.no_grad():
        expected, found = network(normalised), module(images)
        features = module.features(images)
    scale = max(1.0, expected.abs().max().item())
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * scale)
    assert features.ndim == 2
    modules = set(module.modules())
    assert all(layer in modules for layer in classifier.layers(module).values())


@pytest.mark.parametrize(
    ("dataset", "model", "name"),
    [
        ("cifar10", "resnet18_32x32", "cifar10"),
        ("openood-cifar100", "resnet18_32x32", "cifar100"),
        ("openood-imagenet200", "resnet18_224x224", "imagenet"),
        ("digits", "resnet18_32x32", "half"),
    ],
)
def test_the_id_set_says_how_openood_normalises(dataset: str, model: str, name: str) -> None:
    made = LOADED.datasets[dataset].create()
    suited = make_classifier(f"openood/{model}", LOADED, {}).suited(made)
    assert suited.normalisation == name


class Runs:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("save", ["torch", "pickle"])
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, save) -> None:
    state = {"conv1.weight": Runs(tmp_path / "trace")}
    path = tmp_path / "best.ckpt"
    if save == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    classifier = make(path, "openood/resnet18_32x32")
    reason = "holds an object of class" if save == "torch" else r"not a file of torch\.save"
    with pytest.raises(UserError, match=rf"best\.ckpt: {reason}") as caught:
        classifier.load(classifier.build((3, 32, 32), 7), 7)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "trace").exists()


def test_names_that_differ_are_said_in_a_sentence(tmp_path: Path) -> None:
    state = ResNet(7, small=True).state_dict()
    state["extra.weight"] = state.pop("layer2.0.shortcut.0.weight")
    torch.save(state, tmp_path / "best.ckpt")
    classifier = make(tmp_path / "best.ckpt", "openood/resnet18_32x32")
    reason = r"missing layer2\.0\.downsample\.0\.weight; unexpected extra\.weight$"
    with pytest.raises(InvalidData, match=rf"does not fit openood/resnet18_32x32: {reason}"):
        classifier.load(classifier.build((3, 32, 32), 7), 7)


def test_a_network_that_openood_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="did you mean resnet18_32x32"):
        make_classifier("openood/resnet18_32", LOADED, {})


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Return a folder of three runs, as OpenOOD names them; the first has a last epoch, too."""
    folder = tmp_path / "cifar10_net"
    for seed in range(3):
        torch.manual_seed(seed)
        (folder / f"s{seed}").mkdir(parents=True)
        made = make_classifier("preact-resnet", LOADED, {"preact-resnet": {"width": 4}})
        torch.save(made.build((1, 8, 8), 10).state_dict(), folder / f"s{seed}" / "best.ckpt")
    torch.save({}, folder / "s0" / "last.ckpt")
    return folder


def test_three_folders_make_three_classifier_seeds(seeds: Path, tiny: Path, store, tmp_path):
    import oodbench

    asked = {"benchmark": str(tiny), "classifier": str(seeds), "arch": "preact-resnet"}
    asked |= {"detectors": ["msp"], "store": store, "engine": "inline", "device": "cpu"}
    found = oodbench.run(**asked, classifier_seeds=3, out=tmp_path / "three")
    own = found.records[found.records["ood_dataset"] == ""]
    assert set(found.records["classifier"]) == {"cifar10_net"}
    assert set(found.records["status"]) == {"ok"}
    assert sorted(own["classifier_seed"]) == [0, 1, 2]
    assert own["id_accuracy"].nunique() > 1
    alone = seeds / "s2" / "best.ckpt"
    one = oodbench.run(**asked | {"classifier": str(alone)}, out=tmp_path / "one")
    scores = found.scores()
    third = scores[scores["classifier_seed"] == 2]["score"]
    assert third.tolist() == one.scores()["score"].tolist()


def test_a_seed_without_a_folder_is_named(seeds: Path) -> None:
    made = make_classifier(str(seeds), LOADED, {}, "preact-resnet")
    with pytest.raises(UserError, match="no folder s3 for classifier seed 3, only s0, s1, s2"):
        made.of_seed(3)
    (seeds / "s0" / "best.ckpt").rename(seeds / "s0" / "first.ckpt")
    with pytest.raises(UserError, match=r"s0: has 2 files of weights; leave one, or name it"):
        make_classifier(str(seeds), LOADED, {}, "preact-resnet")


def test_the_record_of_folders_makes_the_classifier_again(seeds: Path) -> None:
    made = make_classifier(str(seeds), LOADED, {}, "preact-resnet")
    assert names_of(str(seeds), "preact-resnet", LOADED, {}) == ["preact-resnet"]
    again = remake(record(made), LOADED)
    assert identify(again) == identify(made)
    assert again.full_name == made.full_name == "cifar10_net"
