"""Detectors that read layers, against their formulas in float64, written from the papers."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import spearmanr
from torch import nn
from torchvision.models import VisionTransformer

from oodbench.contracts import Batch, Context, InvalidParameter
from oodbench.stages.network import Network
from oodbench.stages.passing import reduced, wants_gradients
from oodbench.testing import TensorStream, fit, toy_problem
from oodbench_posthoc.gram import GramMatrices
from oodbench_posthoc.multi_mahalanobis import LayeredMahalanobis
from oodbench_posthoc.nac import NeuronCoverage, saturated
from oodbench_posthoc.rankfeat import RankFeature, without_dominant

SHAPE, CLASSES = (1, 12, 12), 3


class Small(nn.Module):
    """Three blocks of convolutions. A channel of the first is always 0."""

    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.LeakyReLU(0.2))
        self.block3 = nn.Sequential(nn.Conv2d(6, 5, 3, stride=2), nn.LeakyReLU(0.2))
        self.head = nn.Linear(5, CLASSES)

    def features(self, x):
        return self.block3(self.block2(self.block1(x))).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


def small():
    torch.manual_seed(3)
    module = Small().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape) / weight[0].numel() ** 0.5)
        module.block1[0].bias[0] = -100
        images, labels = drawn(150, 0)
        features = module.features(images).double()
        centres = torch.stack([features[k == labels].mean(0) for k in range(CLASSES)])
        away, mean = features - centres[labels], features.mean(0)
        weight = (centres - mean) @ torch.linalg.pinv(away.T.cov()) / 8
        module.head.weight.copy_(weight)
        module.head.bias.copy_(-(weight * (centres + mean)).sum(1) / 2)
    return module.requires_grad_(False)


def drawn(count, seed):
    """Return images (n, 1, 12, 12), some of them equal, and labels (n,), of which few are 2."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    labels[:4] = 2
    ramp = torch.linspace(0, 1, 12)
    pattern = torch.stack([ramp.expand(12, 12), ramp.expand(12, 12).T, torch.ones(12, 12) / 2])
    noise = torch.rand(count, 12, 12, generator=generator)
    images = 0.6 * pattern[labels] + (0.2 + 0.02 * seed) * noise
    images[-2:] = images[:2]
    return images[:, None], labels


NETWORK = small()
TRAIN, LABELS = drawn(150, 0)
HELD_OUT, _ = drawn(40, 1)
SCORED = torch.cat([drawn(60, 2)[0], torch.rand(60, *SHAPE, generator=torch.Generator())])


def batch_of(detector, images, labels=None, network=None):
    network = network or NETWORK
    opened = Network(network, "cpu")
    opened.look_inside({}, SHAPE)
    gradients = wants_gradients(detector)
    rows = [reduced(detector, opened(part, gradients=gradients)) for part in images.split(33)]
    labels = torch.full((len(images),), -1) if labels is None else labels
    return Batch(labels, logits=network(images), reduced=torch.cat(rows)), opened.shapes


def scores_of(detector, train=TRAIN, labels=LABELS, scored=SCORED, network=None):
    """Return the scores (n,) after a fit in batches of 7, by a new object with the state."""
    options = {"shape": SHAPE, "num_classes": CLASSES, "batch_size": 7}
    whole, shapes = batch_of(detector, train, labels, network)
    held_out = TensorStream(batch_of(detector, HELD_OUT, None, network)[0], **options)
    context = Context(torch.device("cpu"), 0, SHAPE, CLASSES, layers=shapes, _validation=held_out)
    with torch.no_grad():
        fitted = detector.fit(TensorStream(whole, **options), context)
        new = type(detector)(**vars_of(detector)).restore(fitted.state(), context)
        return new.score(batch_of(detector, scored, None, network)[0]).double().numpy()


def vars_of(detector):
    from oodbench.contracts import parameters

    return parameters(detector)


def outputs_of(images):
    """Return what the blocks and the features are, float64, with a graph to the logits."""
    network = copy.deepcopy(NETWORK).double()
    first = network.block1(images.double()).requires_grad_()
    second = network.block2(first)
    third = network.block3(second)
    features = third.mean((2, 3))
    return [first, second, third, features], network.head(features)


def agree(found, expected, rtol=1e-3):
    assert spearmanr(found, expected).statistic > 0.99
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


def test_multi_mahalanobis_is_a_sum_over_layers():
    training, scored = (outputs_of(images)[0][:3] for images in (TRAIN, SCORED))
    expected = np.zeros(len(SCORED))
    for of_train, of_scored in zip(training, scored, strict=True):
        means, tested = (each.detach().mean((2, 3)).numpy() for each in (of_train, of_scored))
        centres = np.stack([means[k == LABELS].mean(0) for k in range(CLASSES)])
        away = means - centres[LABELS]
        precision = np.linalg.pinv(away.T @ away / len(away), hermitian=True)
        gaps = tested[:, None] - centres
        expected += np.einsum("nkd,de,nke->nk", gaps, precision, gaps).min(1) / 2
    agree(scores_of(LayeredMahalanobis()), expected, rtol=1e-2)


def coverage(products, counted, bins, steepness, full):
    """Return the coverage of states of one layer, given products (n, c) of those counted too."""
    steps = np.linspace(1, np.sqrt(1000), bins // 2)
    lower = np.log(steps) / np.log(1000)
    edges = np.concatenate([lower[:-1], [0.5], (1 - lower[::-1])[1:]])
    edges[-1] = 1.01
    found = np.zeros(len(products))
    for neuron in range(products.shape[1]):
        states, known = (expit(steepness * each[:, neuron]) for each in (products, counted))
        counts = np.histogram(known, edges)[0]
        places = np.digitize(states, edges) - 1
        found += np.minimum(counts[places] / full, 1)
    return found / products.shape[1]


def products_of(images):
    """Return the sums over places times the sums of gradients: features, second, first block."""
    outputs, logits = outputs_of(images)
    uniform = torch.full_like(logits, 1 / CLASSES)
    divergence = (uniform * (uniform.log() - logits.log_softmax(1))).sum()
    gradients = torch.autograd.grad(divergence, outputs)
    both = [(each.detach(), slope) for each, slope in zip(outputs, gradients, strict=True)]
    (first, second, _, (features, slopes)) = both
    summed = [(each.sum((2, 3)) * slope.sum((2, 3))).numpy() for each, slope in (second, first)]
    return [(features * slopes).numpy(), *summed]


@pytest.mark.parametrize(
    "detector",
    [NeuronCoverage(), NeuronCoverage(bins="20", steepness="1,0.1", full="2", images=50)],
    ids=["authors", "others"],
)
def test_nac_is_the_coverage_of_states(detector):
    given = [
        [float(number) for number in getattr(detector, name).split(",")]
        for name in ("bins", "steepness", "full")
    ]
    expected = np.zeros(len(SCORED))
    layers = zip(products_of(SCORED), products_of(TRAIN), strict=True)
    for number, (products, counted) in enumerate(layers):
        bins, steepness, full = (each[min(number, len(each) - 1)] for each in given)
        expected -= coverage(products, counted, int(bins), steepness, full) / 3
    found = scores_of(detector)
    assert spearmanr(found, expected).statistic > 0.99
    assert np.isclose(found, expected, rtol=1e-6).mean() > 0.95  # else on the edge of a bin


def test_nac_remarks_on_states_that_are_saturated():
    problem = toy_problem()
    (said,) = fit(NeuronCoverage(steepness="100,0.001"), problem).trainable.remarks()
    assert said.startswith("Of the neurons' states in features, 94 % are saturated")
    assert fit(NeuronCoverage(steepness="1,0.001"), problem).trainable.remarks() == []
    # neurons that put out 0, in the middle two bins, are not counted
    counts = torch.tensor([[3, 0, 1, 50, 0, 2], [0, 4, 9, 9, 0, 0]])
    assert saturated(counts) == (3 + 2) / (3 + 2 + 4)


def test_nac_counts_a_thousand_images_as_many_of_each_class():
    assert NeuronCoverage().fit_images() == 1000


def removed(output):
    u, s, v = np.linalg.svd(output.detach().flatten(2).numpy(), full_matrices=False)
    rest = output.detach().flatten(2).numpy() - s[:, :1, None] * u[:, :, :1] * v[:, :1]
    return torch.from_numpy(rest).reshape(output.shape)


def test_rankfeat_fuses_the_last_two_layers():
    network = copy.deepcopy(NETWORK).double()
    (_, second, third, _), _ = outputs_of(SCORED)
    logits = network.head(removed(third).mean((2, 3)))
    logits = logits + network.head(network.block3(removed(second)).mean((2, 3)))
    found = RankFeature().score(batch_of(RankFeature(), SCORED)[0])
    agree(found, -(logits / 2).logsumexp(1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 6, 3, 4), (5, 16, 2, 3), (5, 7, 4)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_dominant_part_is_the_largest_singular_value(shape, channels_last):
    output = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if channels_last and len(shape) == 4:
        output = output.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(without_dominant(output), removed(output))


def gram_sums(maps, power):
    """Return the p-th roots, with signs, of the sums of rows of Gram matrices of powers."""
    raised = maps.detach().flatten(2).numpy() ** power
    sums = np.einsum("ncs,nds->ncd", raised, raised).sum(2)
    return np.sign(sums) * np.abs(sums) ** (1 / power)


def gram_deviations(images, powers):
    """Return the deviations (n, l) of images, each divided by its confidence."""
    outputs, logits = outputs_of(images)
    bounds, known = outputs_of(TRAIN)
    predicted, classes = logits.argmax(1).numpy(), known.argmax(1).numpy()
    assert set(classes) == set(range(CLASSES))
    found = np.zeros((len(images), 3))
    for layer in range(3):
        for power in range(1, powers + 1):
            sums, of_train = (gram_sums(each[layer], power) for each in (outputs, bounds))
            low, high = (
                np.stack([bound(of_train[classes == k], axis=0) for k in range(CLASSES)])[predicted]
                for bound in (np.min, np.max)
            )
            found[:, layer] += (np.maximum(low - sums, 0) / np.abs(low + 1e-6)).sum(1)
            found[:, layer] += (np.maximum(sums - high, 0) / np.abs(high + 1e-6)).sum(1)
    confidence = logits.softmax(1).amax(1).detach().numpy()
    return found / confidence[:, None]


@pytest.mark.parametrize("powers", [1, 10])
def test_gram_sums_deviations_from_the_ranges_of_the_predicted_class(powers):
    expected = gram_deviations(HELD_OUT, powers).mean(0) + 1e-7
    scores = (gram_deviations(SCORED, powers) / expected).sum(1)
    found = scores_of(GramMatrices(powers=powers))
    assert spearmanr(found, scores).statistic > 0.99
    np.testing.assert_allclose(found, scores, rtol=1e-3, atol=1e-4)


def test_gram_keeps_sums_of_activations_of_any_size():
    plain, scaled = (GramMatrices().reduce(layers_of(factor)).double() for factor in (1, 1e4))
    torch.testing.assert_close(scaled, plain * 1e8, rtol=1e-6, atol=0)


def layers_of(factor):
    from oodbench.contracts import Layers

    maps = 1e-3 * factor * torch.rand(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    return Layers({"maps": maps}, torch.zeros(3, 4), torch.zeros(3, 2))


def test_a_class_that_nothing_is_predicted_to_be_has_the_range_of_all():
    few = NETWORK(TRAIN).argmax(1) == 0
    scores = scores_of(GramMatrices(), TRAIN[few], LABELS[few])
    assert np.isfinite(scores).all()


class Transformer(nn.Module):
    """A vision transformer of grey images, with random weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = VisionTransformer(
            image_size=12, patch_size=4, num_layers=8, num_heads=2, hidden_dim=8, mlp_dim=16
        )
        self.network.heads = nn.Identity()
        self.head = nn.Linear(8, CLASSES)

    def features(self, x):
        return self.network(x.expand(-1, 3, -1, -1))

    def forward(self, x):
        return self.head(self.features(x))


TRANSFORMER = Transformer().eval().requires_grad_(False)


@pytest.mark.parametrize(
    "detector", [LayeredMahalanobis(), NeuronCoverage(), RankFeature(), GramMatrices()]
)
def test_tokens_of_a_transformer_serve_as_places(detector):
    scores = scores_of(detector, network=TRANSFORMER)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores.round(9))) > len(SCORED) / 2


def test_rankfeat_of_a_transformer_leaves_out_the_dominant_part_of_tokens():
    blocks = TRANSFORMER.network.encoder.layers
    outputs = {}
    hooks = [
        blocks[number].register_forward_hook(lambda of, _, out: outputs.__setitem__(of, out))
        for number in (5, 7)
    ]
    TRANSFORMER(SCORED)
    for hook in hooks:
        hook.remove()
    norm = TRANSFORMER.network.encoder.ln
    last = removed(norm(outputs[blocks[7]]).double()).float()
    inner = blocks[7](blocks[6](removed(outputs[blocks[5]].double()).float()))
    logits = TRANSFORMER.head(last[:, 0]) + TRANSFORMER.head(norm(inner)[:, 0])
    found = RankFeature().score(batch_of(RankFeature(), SCORED, None, TRANSFORMER)[0])
    agree(found, -(logits / 2).logsumexp(1).numpy(), rtol=1e-3)


def test_parameters_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match="bins must be numbers separated by commas"):
        NeuronCoverage(bins="50;50")
    with pytest.raises(InvalidParameter, match="bins must be at least 4, not 3"):
        NeuronCoverage(bins="50,3")
    with pytest.raises(InvalidParameter, match="steepness must be a number greater than 0"):
        NeuronCoverage(steepness="0")
    with pytest.raises(InvalidParameter, match="powers must be a whole number of at least 1"):
        GramMatrices(powers=0)
    assert math.isfinite(NeuronCoverage().images)
