"""Fits that read features batch by batch, and those that say that they cannot."""

import weakref

import pytest
import torch
from pytorch_ood import detector as pytorch_ood
from torch import nn

from oodbench.contracts import Batch, Context, PluginError
from oodbench.testing import TensorStream, fit, toy_problem
from oodbench_posthoc import memory
from oodbench_posthoc.cop import CosinePrincipalComponents
from oodbench_posthoc.cosine import CosineSimilarity
from oodbench_posthoc.dice import SparseHead
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.fdbd import BoundaryDistance
from oodbench_posthoc.gmm import ClassGaussians
from oodbench_posthoc.kernel_pca import KernelPrincipalComponents
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.nci import NeuralCollapse
from oodbench_posthoc.neco import NeuralCollapseRatio
from oodbench_posthoc.nnguide import NeighbourGuidance
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.pnml import LikelihoodRegret
from oodbench_posthoc.react import RectifiedActivations
from oodbench_posthoc.residual import Residual
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.rmd_pp import NormalisedRelativeMahalanobis
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.vim import VirtualLogitMatching

CLASSES, WIDTH = 3, 12


class Network(nn.Module):
    """A classifier whose images are features."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.head = nn.Linear(WIDTH, CLASSES).requires_grad_(False)
        self.head.weight.copy_(torch.randn(CLASSES, WIDTH, generator=generator))
        self.head.bias.copy_(torch.randn(CLASSES, generator=generator))

    def features(self, images):
        return images.flatten(1)


NETWORK = Network()


def features_of(count, seed):
    """Return features that the network recognises mostly, and the classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    return 1 + 2 * NETWORK.head.weight[labels] + torch.randn(
        count, WIDTH, generator=generator
    ), labels


def context():
    return Context(torch.device("cpu"), 0, (1, 1, WIDTH), CLASSES, _classifier=NETWORK)


HEAD = NETWORK.head
STREAMED = [
    pytest.param(
        VirtualLogitMatching(),
        pytorch_ood.ViM(None, WIDTH // 2, HEAD.weight, HEAD.bias),
        id="vim",
    ),
    pytest.param(
        VirtualLogitMatching(dimension=5),
        pytorch_ood.ViM(None, 5, HEAD.weight, HEAD.bias),
        id="vim-5",
    ),
    pytest.param(LikelihoodRegret(), pytorch_ood.PNML(None, HEAD), id="pnml"),
    pytest.param(ClassGaussians(), pytorch_ood.GMM(None), id="gmm"),
    pytest.param(NearestNeighbours(), pytorch_ood.KNN(None), id="knn"),
    pytest.param(NeighbourGuidance(), pytorch_ood.NNGuide(None, HEAD), id="nnguide"),
    pytest.param(NeuralCollapse(), pytorch_ood.NCI(None, HEAD), id="nci"),
    pytest.param(BoundaryDistance(), pytorch_ood.fDBD(None, HEAD), id="fdbd"),
    pytest.param(SparseHead(), pytorch_ood.DICE(None, HEAD.weight, HEAD.bias, 0.9), id="dice"),
    pytest.param(HopfieldEnergy(), pytorch_ood.SHE(None, HEAD), id="she"),
]


@pytest.mark.parametrize(("ours", "theirs"), STREAMED)
def test_scores_after_a_streamed_fit_are_those_of_pytorch_ood(ours, theirs):
    features, labels = features_of(600, seed=0)
    theirs.fit_features(features, labels)
    train = TensorStream(
        Batch(labels, features=features), shape=(1, 1, WIDTH), num_classes=CLASSES, batch_size=64
    )
    scored, _ = features_of(50, seed=5)
    batch = Batch(torch.full((50,), -1), features=scored)
    fitted = type(ours)(**vars(ours)).fit(train, context())
    restored = type(ours)(**vars(ours)).restore(fitted.state(), context())
    for detector in (fitted, restored):
        scores = detector.score(batch)
        expected = theirs.predict_features(scored).to(scores.dtype)
        rounding = 1e-5 * float(expected.abs().max())  # scores may pass through 0
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=rounding)


MORE = (
    CosineSimilarity(),
    CosinePrincipalComponents(),
    KernelPrincipalComponents(),
    NeuralCollapseRatio(),
    NormalisedRelativeMahalanobis(),
    Residual(),
)


class Fleeting(TensorStream):
    """Notes how many batches that it made are in use at once."""

    most = 0

    def __iter__(self):
        alive = []
        for batch in super().__iter__():
            copied = batch.features.clone()
            alive.append(weakref.ref(copied))
            self.most = max(self.most, sum(each() is not None for each in alive))
            yield Batch(batch.labels, features=copied)


@pytest.mark.parametrize(
    "detector",
    [*(each.values[0] for each in STREAMED), Mahalanobis(), RelativeMahalanobis(), *MORE],
    ids=lambda detector: detector.info.name,
)
def test_no_more_than_a_few_batches_are_in_memory(detector):
    features, labels = features_of(600, seed=0)
    batch = Batch(labels, features=features)
    train = Fleeting(batch, shape=(1, 1, WIDTH), num_classes=CLASSES, batch_size=60)
    type(detector)(**vars(detector)).fit(train, context())
    assert train.most <= 3


@pytest.mark.parametrize(
    "detector",
    [
        CosineSimilarity(),
        ClassGaussians(),
        Mahalanobis(),
        NormalisedRelativeMahalanobis(),
        RelativeMahalanobis(),
    ],
    ids=lambda detector: detector.info.name,
)
def test_classes_without_images_change_no_score(detector):
    features, labels = features_of(600, seed=0)
    scored = Batch(labels, features=features)

    def scores(numbers, num_classes):
        batch = Batch(torch.tensor(numbers)[labels], features=features)
        train = TensorStream(batch, shape=(1, 1, WIDTH), num_classes=num_classes)
        return type(detector)(**vars(detector)).fit(train, context()).score(scored)

    without = scores(range(CLASSES), CLASSES)
    assert torch.equal(scores([2 * y + 1 for y in range(CLASSES)], 2 * CLASSES + 3), without)


def test_a_covariance_that_cannot_be_inverted_is_named():
    features, labels = features_of(600, seed=0)
    features[labels == 1] = 1e6
    train = TensorStream(Batch(labels, features=features), shape=(1, 1, WIDTH), num_classes=CLASSES)
    with pytest.raises(PluginError, match="covariance of class 1 is not positive definite"):
        ClassGaussians(regularization=1e-300).fit(train, context())


@pytest.fixture
def little_memory(tmp_path, monkeypatch):
    """Have Linux say that 5 KiB are free."""
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 5 kB\n")
    monkeypatch.setattr(memory, "MEMORY", path)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "detector",
    [
        RectifiedActivations(),
        OpenMax(),
        NearestNeighbours(),
        NeighbourGuidance(),
        ClassGaussians(),
    ],
    ids=lambda detector: detector.info.name,
)
def test_what_does_not_fit_into_memory_says_what_it_needs(detector):
    sentence = (
        r"needs about \d+\.\d GiB of memory to be fitted on 300 images, and 0\.0 GiB are free"
    )
    with pytest.raises(PluginError, match=sentence):
        fit(detector, toy_problem())


@pytest.mark.usefixtures("little_memory")
def test_sums_need_no_memory_to_speak_of():
    fit(Mahalanobis(), toy_problem())
    fit(Energy(), toy_problem())


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("999000\n")
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    assert memory.free_memory(torch.device("cpu")) == 1000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory(torch.device("cpu")) > 1e6


def test_where_nothing_says_what_is_free_everything_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "none")
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    assert memory.free_memory(torch.device("cpu")) == float("inf")
