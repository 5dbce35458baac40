"""The detectors by pytorch-ood that change activations or images, or that take gradients."""

import numpy as np
import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import Batch, InvalidParameter, PluginError, parameters
from oodbench.registry.lookup import load_registry
from oodbench.testing import TensorStream, fit, toy_problem
from oodbench_posthoc.ash import ActivationShaping
from oodbench_posthoc.dice import SparseHead
from oodbench_posthoc.gradnorm import GradientNorm
from oodbench_posthoc.graduncertainty import GradientUncertainty
from oodbench_posthoc.odin import Odin
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.react import RectifiedActivations
from oodbench_posthoc.scale import ActivationScaling
from oodbench_posthoc.vra import VariationalRectification

PROBLEM = toy_problem()
CLASSIFIER = PROBLEM.classifier
BENCHMARKS = load_registry().benchmarks
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])


def maps_of(images):
    return CLASSIFIER.features(images)[:, :, None, None]


def logits_of(maps):
    return CLASSIFIER.head(maps.flatten(1))


def scores_of(detector):
    """Return the scores of a detector that was fitted and restored."""
    fitted = fit(detector, PROBLEM)
    with torch.no_grad():
        return fitted.restored().score(fitted.batch(IMAGES))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(RectifiedActivations(), pytorch_ood.ReAct(maps_of, logits_of), id="react"),
        pytest.param(
            RectifiedActivations(percentile=0.5),
            pytorch_ood.ReAct(maps_of, logits_of, percentile=0.5),
            id="react-0.5",
        ),
        pytest.param(
            ActivationShaping(), pytorch_ood.ASH(maps_of, logits_of, "ash-s", 0.95), id="ash-s"
        ),
        pytest.param(
            ActivationShaping(variant="ash-b", percentile=0.9),
            pytorch_ood.ASH(maps_of, logits_of, "ash-b", 0.9),
            id="ash-b",
        ),
        pytest.param(
            ActivationShaping(variant="ash-p"),
            pytorch_ood.ASH(maps_of, logits_of, "ash-p", 0.95),
            id="ash-p",
        ),
        pytest.param(ActivationScaling(), pytorch_ood.SCALE(maps_of, logits_of, 0.85), id="scale"),
    ],
)
def test_changed_activations_score_as_in_pytorch_ood(ours, theirs):
    theirs.fit([(PROBLEM.train_images, PROBLEM.train_labels)])
    torch.testing.assert_close(
        scores_of(ours), theirs.predict(IMAGES), rtol=1e-5, atol=0, check_dtype=False
    )


def test_vra_sets_low_features_to_0_and_cuts_off_high_ones():
    """Against the paper's formula in numpy, with features that are negative, equal and dead."""
    generator = np.random.default_rng(0)
    features = np.round(generator.normal(size=(90, 32)), 1)
    features[:, :4] = 0
    scored = np.round(generator.normal(size=(20, 32)), 1)
    weight, bias = (each.double().numpy() for each in CLASSIFIER.head.parameters())
    low, high = np.quantile(features.astype(np.float32), [0.6, 0.9], axis=0).astype(np.float32)
    scored = scored.astype(np.float32)
    shaped = np.where(scored < low, 0, np.where(scored > high, high, scored))
    expected = -np.log(np.exp(shaped @ weight.T + bias).sum(axis=1))
    train = TensorStream(
        Batch(torch.arange(90) % 3, features=torch.from_numpy(features).float()),
        shape=(1, 8, 8),
        num_classes=3,
    )
    detector = VariationalRectification()
    detector.fit(train, PROBLEM.context(detector.needs))
    scores = detector.score(Batch(torch.full((20,), -1), features=torch.from_numpy(scored)))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("detector", "published"),
    [
        (ActivationShaping(), {"percentile": 0.95, "variant": "ash-s"}),
        (ActivationScaling(), {"percentile": 0.85}),
        (SparseHead(), {"sparsity": 0.9}),
        (VariationalRectification(), {"lower_percentile": 0.6, "upper_percentile": 0.9}),
        (OpenMax(), {"tail": 20}),
    ],
    ids=lambda value: getattr(getattr(value, "info", None), "name", ""),
)
def test_defaults_are_those_of_the_authors_on_cifar(detector, published):
    assert parameters(detector).items() >= published.items()


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if "imagenet" in name])
def test_benchmarks_of_imagenet_take_what_the_authors_take_there(name):
    found = BENCHMARKS[name].target.parameters
    assert found["ash"] == {"percentile": 0.9}
    assert found["dice"] == {"sparsity": 0.7}


def test_the_gradients_of_the_head_alone_are_those_that_the_network_has_there():
    theirs = pytorch_ood.GradNorm(CLASSIFIER, lambda name: name == "head.weight")
    expected = theirs.predict(IMAGES)
    torch.testing.assert_close(scores_of(GradientNorm()), expected, rtol=1e-5, atol=1e-6)
    theirs = pytorch_ood.GradUncertainty(CLASSIFIER, lambda name: name.startswith("head."))
    expected = theirs.predict(IMAGES)
    torch.testing.assert_close(scores_of(GradientUncertainty()), expected, rtol=1e-5, atol=1e-6)


def sure_head():
    """Return a head whose predictions are sure in float32, and the features of all images."""
    head = torch.nn.Linear(32, 3).requires_grad_(False)
    head.weight.mul_(100)
    features = CLASSIFIER.features(IMAGES)
    assert head(features).softmax(dim=1).max() == 1
    return head, features


def scores_with(detector, head, features):
    context = toy_problem().context(detector.needs)
    context.classifier.head = head
    batch = Batch(torch.full((len(features),), -1), features=features)
    return detector.restore({}, context).score(batch)


def test_gradients_of_a_network_that_is_sure_are_those_of_pytorch_ood():
    head, features = sure_head()
    theirs = pytorch_ood.GradNorm(head, lambda name: name == "weight", temperature=2.0)
    scores = scores_with(GradientNorm(temperature=2.0), head, features)
    torch.testing.assert_close(scores, theirs.predict(features), rtol=1e-5, atol=1e-30)


def test_gradients_towards_all_classes_do_not_vanish_where_the_network_is_sure():
    """They do in PyTorch's binary cross-entropy, by which the surest images look like OOD."""
    head, features = sure_head()
    sure = head(features).softmax(dim=1).amax(dim=1) > 1 - 1e-7
    length = features[sure].square().sum(dim=1) + 1
    scores = scores_with(GradientUncertainty(), head, features)[sure]
    torch.testing.assert_close(scores, -6 * length, rtol=1e-4, atol=0)  # 2^2 + 1 + 1
    assert (pytorch_ood.GradUncertainty(head).predict(features)[sure] > -1e-3).any()


def test_a_head_that_is_not_linear_is_refused():
    context = PROBLEM.context(GradientNorm.needs)
    context.classifier.head = torch.nn.Sequential(context.classifier.head)
    with pytest.raises(PluginError, match="needs a linear head, got a Sequential"):
        GradientNorm().restore({}, context)


@pytest.mark.parametrize("step", [0.0014, 0.05])
def test_odin_scores_as_in_pytorch_ood(step):
    theirs = pytorch_ood.ODIN(CLASSIFIER, eps=step)
    scores = scores_of(Odin(step=step))
    torch.testing.assert_close(scores, theirs.predict(IMAGES).double(), rtol=1e-5, atol=0)


def test_odin_does_not_tie_at_high_temperatures():
    scores = scores_of(Odin(temperature=1e6))
    assert len(scores.unique()) == len(scores)


def test_parameters_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match="variant must be one of ash-s, ash-p, ash-b"):
        ActivationShaping(variant="ash-x")
    with pytest.raises(InvalidParameter, match=r"lower_percentile \(0.9\) must not be above"):
        VariationalRectification(lower_percentile=0.9, upper_percentile=0.1)
    with pytest.raises(InvalidParameter, match="step must be a number greater than 0"):
        Odin(step=0.0)


def fitted_on(detector, features):
    classes = torch.arange(len(features)) % 3
    batch = Batch(classes, features=features, logits=CLASSIFIER.head(features))
    train = TensorStream(batch, shape=(1, 8, 8), num_classes=3)
    needs = frozenset(detector.needs | detector.needs_to_fit())
    return detector.fit(train, PROBLEM.context(needs))


@pytest.mark.parametrize(
    ("name", "title"),
    [("ash", "ASH"), ("scale", "SCALE"), ("lts", "LTS"), ("react", "ReAct"), ("vra", "VRA")],
)
def test_where_features_are_negative_a_method_that_assumes_otherwise_says_so(name, title):
    features = torch.rand((40, 32), generator=torch.Generator().manual_seed(0))
    detectors = load_registry().detectors
    assert not list(fitted_on(detectors[name].create(), features).remarks())
    features[:, :8] -= 1
    said = f"Of the features of training images 25 % are negative; {title} assumes that none is."
    assert list(fitted_on(detectors[name].create(), features).remarks()) == [said]
    assert said in fitted_on(detectors[f"{name}+energy"].create(), features).remarks()


def test_dice_and_scores_say_nothing_of_negative_features():
    features = torch.rand((90, 32), generator=torch.Generator().manual_seed(0)) - 0.5
    for detector in (SparseHead(), load_registry().detectors["dice+energy"].create()):
        assert not list(fitted_on(detector, features).remarks())


def test_a_small_share_of_negative_features_is_not_rounded_to_none():
    features = torch.rand((40, 32), generator=torch.Generator().manual_seed(0))
    features[0, 0] = -1
    (said,) = fitted_on(ActivationScaling(), features).remarks()
    assert said.startswith("Of the features of training images less than 1 % are negative")
