"""Compositions of shapings and scores, by names such as ``react+knn``."""

import numpy as np
import pytest
import torch

from oodbench.contracts import Detector, Info, Need, parameters
from oodbench.errors import PluginError, UnknownName, UserError
from oodbench.identity.keys import digest, identify
from oodbench.registry.composition import compose
from oodbench.registry.lookup import load_registry
from oodbench.request.detectors import find_detectors, make_detectors
from oodbench.testing import fit, toy_problem
from oodbench_posthoc.temperature_scaling import best_temperature

REGISTRY = load_registry()
PROBLEM = toy_problem()
CLASSIFIER = PROBLEM.classifier
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])
SHAPINGS = ("ash", "dice", "lts", "react", "scale", "vra")


def make(name, **given):
    return REGISTRY.detectors[name].create(**given)


def scores_of(name, **given):
    """Return the scores of a detector that was fitted and restored."""
    fitted = fit(make(name, **given), PROBLEM)
    with torch.no_grad():
        return fitted.restored().score(fitted.batch(IMAGES)).numpy()


def features_of(images):
    return CLASSIFIER.features(images).double().numpy()


WEIGHT, BIAS = (each.double().numpy() for each in CLASSIFIER.head.parameters())
TRAIN, SCORED = features_of(PROBLEM.train_images), features_of(IMAGES)


def energy_of(logits):
    return -np.log(np.exp(logits).sum(axis=1))


def pruned(features, share):
    """Return features whose smallest share is 0, and the sum of all over that of the rest."""
    count = features.shape[1] - round(features.shape[1] * share)
    kept = np.zeros_like(features)
    largest = np.argsort(features, axis=1)[:, -count:]
    np.put_along_axis(kept, largest, np.take_along_axis(features, largest, axis=1), axis=1)
    return kept, features.sum(axis=1, keepdims=True) / kept.sum(axis=1, keepdims=True)


def test_shapings_are_those_that_declare_it():
    assert REGISTRY.detectors.shapings() == sorted(SHAPINGS)


@pytest.mark.parametrize("name", SHAPINGS)
def test_a_shaping_alone_is_its_composition_with_the_energy(name):
    np.testing.assert_array_equal(scores_of(name), scores_of(f"{name}+energy"))


def test_a_last_shaping_scores_as_with_the_energy_after_it():
    np.testing.assert_array_equal(scores_of("react+dice"), scores_of("react+dice+energy"))


def test_react_before_dice_is_as_the_authors_of_dice_combine_them():
    """The mask is made of features as they are, and applied to those that are cut off."""
    contributions = WEIGHT * TRAIN.mean(axis=0)
    kept = np.where(contributions > np.quantile(contributions, 0.9), WEIGHT, 0)
    cut = np.minimum(SCORED, np.quantile(TRAIN, 0.9))
    expected = energy_of(cut @ kept.T + BIAS)
    np.testing.assert_allclose(scores_of("react+dice"), expected, rtol=1e-5)


def test_a_score_is_fitted_on_shaped_features():
    """ASH-S before KNN: the distance between directions of pruned features."""
    train, scored = (pruned(features, 0.5)[0] for features in (TRAIN, SCORED))
    train, scored = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (train, scored))
    distances = np.linalg.norm(scored[:, None] - train, axis=2)
    expected = np.sort(distances, axis=1)[:, 9]
    found = scores_of("ash+knn", ash_percentile=0.5, knn_neighbours=10)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_score_reads_the_logits_of_the_shaped_head():
    """LTS after ReAct, before the largest logit: the factor is that of the cut features."""
    cut = np.minimum(SCORED, np.quantile(TRAIN, 0.5))
    factor = pruned(cut, 0.95)[1] ** 2
    expected = -((cut @ WEIGHT.T + BIAS) * factor).max(axis=1)
    found = scores_of("react+lts+maxlogit", react_percentile=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_score_that_is_fitted_on_validation_images_gets_shaped_ones():
    """DICE before temperature scaling: the temperature of the logits of the sparse head."""
    contributions = WEIGHT * TRAIN.mean(axis=0)
    sparse = np.where(contributions > np.quantile(contributions, 0.9), WEIGHT, 0)
    held_out = PROBLEM.validation(frozenset({Need.FEATURES})).whole
    logits = held_out.features.double().numpy() @ sparse.T + BIAS
    fitted = fit(make("dice+temperature-scaling"), PROBLEM)
    expected = best_temperature(torch.from_numpy(logits), held_out.labels)
    assert fitted.trainable.state()["temperature-scaling.temperature_"] == pytest.approx(expected)


class Recorder(Detector):
    """Keeps what it is given."""

    info = Info(name="recorder", summary="Keeps what it is given.")
    needs = frozenset({Need.LOGITS, Need.CLASSIFIER, Need.INPUTS})
    fit_needs = frozenset({Need.FEATURES})

    def fit(self, train, context):
        self.train = torch.cat([batch.features for batch in train])
        self.shuffled = next(train.shuffled(50, context.generator())).features
        self.count = len(train)
        return self

    def score(self, batch):
        self.batch = batch
        return batch.logits[:, 0]


def test_a_score_sees_what_it_declares_and_nothing_else():
    fitted = fit(compose([*classes_of("scale"), Recorder])(), PROBLEM)
    fitted.trainable.score(fitted.batch(IMAGES))
    scale, recorder = fitted.trainable.fitted_
    shaped = scale.shape(CLASSIFIER.features(PROBLEM.train_images))
    torch.testing.assert_close(recorder.train, shaped)
    assert recorder.shuffled.shape == (50, 32)
    assert recorder.count == 300
    assert recorder.batch.inputs is not None
    assert recorder.batch._features is None
    logits = CLASSIFIER.head(scale.shape(CLASSIFIER.features(IMAGES)))
    torch.testing.assert_close(recorder.batch.logits, logits)
    torch.testing.assert_close(fitted.trainable.classifier_(IMAGES), logits)


@pytest.mark.parametrize("name", ["lts+vim", "lts+residual", "lts+gradnorm", "lts+weiper"])
def test_a_score_that_needs_a_linear_head_says_so_after_a_shaping_that_leaves_none(name):
    with pytest.raises(PluginError, match="needs a linear head, got a ScaledHead"):
        fit(make(name), PROBLEM)


def classes_of(*names):
    return [REGISTRY.detectors[name].target for name in names]


def test_parameters_are_those_of_the_members_after_their_names():
    found = parameters(make("react+mahalanobis-odin", react_percentile="0.5"))
    assert found == {"react_percentile": 0.5, "mahalanobis_odin_step": 0.002}
    assert make("react+knn").space["knn_neighbours"] == make("knn").space["neighbours"]


def test_an_unknown_or_unfitting_parameter_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'react_percentile'"):
        make("react+knn", react_percentil=0.5)
    with pytest.raises(UserError, match="percentile must be at least 0"):
        make("react+knn", react_percentile=2)
    with pytest.raises(UserError, match=r"react\+knn.knn_neighbours = 'x': input should be"):
        make("react+knn", knn_neighbours="x")


def test_parameters_of_members_are_those_of_the_run_unless_the_composition_has_its_own():
    given = {"react": {"percentile": 0.5}, "ash+knn": {"ash_percentile": 0.6}, "ash": {}}
    found, _ = find_detectors(["react", "react+knn", "ash+knn"], REGISTRY)
    made, broken = make_detectors(found, REGISTRY, given)
    assert not broken
    assert made["react"].percentile == made["react+knn"].react_percentile == 0.5
    assert made["ash+knn"].ash_percentile == 0.6


def test_the_key_depends_on_members_and_parameters():
    names = ("react+knn", "ash+knn", "react+gen", "react+ash+knn", "ash+react+knn")
    keys = {digest(identify(make(name))) for name in names}
    keys.add(digest(identify(make("react+knn", react_percentile=0.5))))
    assert len(keys) == len(names) + 1
    assert digest(identify(make("react+knn"))) in keys


def test_info_names_all_members():
    info = make("react+dice+gen").info
    assert info.name == "react+dice+gen"
    assert info.title == "ReAct + DICE + GEN"
    assert info.deviations[0] == (
        "A composition of ReAct (Sun et al., NeurIPS 2021), DICE (Sun and Li, ECCV 2022) and GEN "
        "(Liu et al., CVPR 2023)."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("energy+react", "'energy' does not change features, so that nothing can follow it; detec"),
        ("msp+knn", "'msp' does not change features, so that nothing can follow it"),
        ("reakt+knn", "unknown detector 'reakt'; did you mean 'react'?"),
        ("react+kn", "unknown detector 'kn'; did you mean 'knn'?"),
        ("react+react", "'react' twice"),
        ("react+", r"'react\+' lacks a name beside '\+'"),
        ("dice+knn", "'dice' changes logits alone, and 'knn' reads features alone"),
        ("react+ganad", "'ganad' does not score features or logits"),
        ("react+ensemble", "'ensemble' does not score features or logits"),
        ("react+brightness", "'brightness' does not score features or logits"),
    ],
)
def test_what_cannot_be_composed_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        find_detectors([name], REGISTRY)


def test_a_member_that_is_missing_has_its_reason():
    found, broken = find_detectors(["knn", "react+mcm"], REGISTRY)
    assert list(found) == ["knn"]
    assert "embeddings" in broken["react+mcm"]
