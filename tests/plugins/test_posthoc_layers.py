"""The detectors by pytorch-ood that look at several layers of the classifier."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood
from pytorch_ood.detector.rankfeat import _remove_rank1
from torch import nn

from oodbench.contracts import Context, PluginError
from oodbench.testing import ToyClassifier, fit, toy_problem
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_posthoc.gram import GramMatrices, row_sums
from oodbench_posthoc.layers import Layers
from oodbench_posthoc.nac import NeuronCoverage
from oodbench_posthoc.rankfeat import RankFeature, without_dominant

PROBLEM = toy_problem()
CLASSIFIER = PROBLEM.classifier
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])
TRAIN = [(PROBLEM.train_images, PROBLEM.train_labels)]


def maps_of(images):
    return CLASSIFIER.filters(images - 0.5)


def logits_of(maps):
    return CLASSIFIER.head((maps.sum(dim=(2, 3)) + CLASSIFIER.bias).relu())


def scores_of(detector):
    """Return the scores of a detector that was fitted and restored."""
    fitted = fit(detector, PROBLEM)
    with torch.no_grad():
        return fitted.restored().score(fitted.batch(IMAGES))


def test_rankfeat_scores_as_in_pytorch_ood():
    expected = pytorch_ood.RankFeat(maps_of, logits_of).predict(IMAGES)
    torch.testing.assert_close(scores_of(RankFeature()), expected, rtol=1e-5, atol=1e-5)


def test_gram_scores_as_in_pytorch_ood():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [lambda images: images - 0.5, CLASSIFIER.filters]
        theirs = pytorch_ood.Gram(logits_of, layers, 3).fit(TRAIN)
    torch.testing.assert_close(
        scores_of(GramMatrices()), theirs.predict(IMAGES), rtol=1e-5, atol=1e-5
    )


def test_nac_scores_as_in_pytorch_ood():
    classifier = ToyClassifier()
    theirs = pytorch_ood.NACUE(classifier, [classifier.centred, classifier.filters])
    images, labels = TRAIN[0]
    theirs.fit([(images.clone().requires_grad_(), labels)])
    expected = theirs.predict(IMAGES.clone().requires_grad_())
    torch.testing.assert_close(scores_of(NeuronCoverage()), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_row_sums_are_those_of_the_gram_matrix(power):
    maps = torch.randn(5, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    expected = pytorch_ood.Gram._gram_vector(maps, power)
    torch.testing.assert_close(row_sums(maps, power), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 6, 3, 4), (5, 16, 2, 3)], ids=["wide", "tall"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_dominant_part_is_the_largest_singular_value(shape, memory_format):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = without_dominant(maps.contiguous(memory_format=memory_format))
    torch.testing.assert_close(found, _remove_rank1(maps), rtol=1e-5, atol=1e-5)


def context_of(shape):
    return Context(device=torch.device("cpu"), seed=0, shape=shape, num_classes=10)


def test_the_last_layer_at_each_size_is_found():
    shape = (1, 28, 28)
    network = PreactResNet(width=4).build(shape, 10).eval()
    layers = Layers(network, context_of(shape))
    maps, logits = layers(torch.rand(2, *shape))
    assert [tuple(each.shape) for each in maps] == [
        (2, 4, 28, 28),
        (2, 4, 14, 14),
        (2, 4, 7, 7),
        (2, 4, 4, 4),
    ]
    assert layers.modules[0] is network.backbone[0]
    assert layers.modules[-1] is network.activation
    assert logits.shape == (2, 10)


def test_no_hook_is_left_behind():
    classifier = ToyClassifier()
    layers = Layers(classifier, context_of((1, 8, 8)))
    layers(IMAGES)
    layers.logits(IMAGES, torch.relu)
    assert not any(module._forward_hooks for module in classifier.modules())


def test_a_classifier_without_maps_is_refused():
    with pytest.raises(PluginError, match="no layer that outputs maps"):
        Layers(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), context_of((1, 8, 8)))
