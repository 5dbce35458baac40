"""The detectors that pytorch-ood computes from features."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import Batch, InvalidParameter, Need, PluginError
from oodbench.testing import TensorStream, fit, toy_problem
from oodbench_posthoc.adapter import FeaturesAdapter
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.vim import VirtualLogitMatching

HEAD = toy_problem().classifier.head

EQUIVALENT = [
    pytest.param(Mahalanobis(), pytorch_ood.Mahalanobis(None), id="mahalanobis"),
    pytest.param(RelativeMahalanobis(), pytorch_ood.RMD(None), id="rmd"),
    pytest.param(NearestNeighbours(), pytorch_ood.KNN(None, k=50), id="knn"),
    pytest.param(NearestNeighbours(neighbours=3), pytorch_ood.KNN(None, k=3), id="knn-3"),
    pytest.param(
        VirtualLogitMatching(), pytorch_ood.ViM(None, 16, HEAD.weight, HEAD.bias), id="vim"
    ),
    pytest.param(
        VirtualLogitMatching(dimension=5),
        pytorch_ood.ViM(None, 5, HEAD.weight, HEAD.bias),
        id="vim-5",
    ),
    pytest.param(HopfieldEnergy(), pytorch_ood.SHE(None, HEAD), id="she"),
]


@pytest.mark.parametrize(("ours", "theirs"), EQUIVALENT)
def test_scores_are_those_of_pytorch_ood(ours, theirs):
    problem = toy_problem()
    features = problem.classifier.features(problem.train_images)
    theirs.fit_features(features, problem.train_labels)
    images = torch.cat([problem.id_images, problem.ood_images])
    expected = theirs.predict_features(problem.classifier.features(images))
    fitted = fit(ours, problem)
    for detector in (fitted.trainable, fitted.restored()):
        scores = detector.score(fitted.batch(images))
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["GMM", "NCI", "NNGuide", "PNML", "fDBD"])
def test_other_detectors_of_pytorch_ood_need_no_more_than_their_name(name):
    needs = frozenset({Need.FEATURES, Need.CLASSIFIER})
    declared = type(name, (FeaturesAdapter,), {"original": name, "needs": needs})()
    problem = toy_problem()
    theirs = getattr(pytorch_ood, name)(None, *([] if name == "GMM" else [HEAD]))
    theirs.fit_features(problem.classifier.features(problem.train_images), problem.train_labels)
    expected = theirs.predict_features(problem.classifier.features(problem.ood_images))
    fitted = fit(declared, problem)
    scores = fitted.restored().score(fitted.batch(problem.ood_images))
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("detector", "learned"),
    [
        (Mahalanobis(), {"mu", "cov", "precision"}),
        (VirtualLogitMatching(), {"principal_subspace", "alpha"}),
        (HopfieldEnergy(), {"patterns"}),
        (NearestNeighbours(), {"features"}),
    ],
    ids=["mahalanobis", "vim", "she", "knn"],
)
def test_what_was_learned_is_kept_and_nothing_else(detector, learned):
    assert fit(detector, toy_problem()).trainable.state().keys() == learned


def test_what_was_restored_can_be_kept_again():
    fitted = fit(Mahalanobis(), toy_problem())
    assert fitted.restored().state().keys() == fitted.trainable.state().keys()


class Indexed(NearestNeighbours):
    """Keep what scikit-learn fitted, as it is."""

    state = FeaturesAdapter.state

    def restore(self, state, context):
        super().restore(state, context)
        self._learned = ["knn"]
        return self


class Headless(HopfieldEnergy):
    """Forget to declare the classifier."""

    needs = frozenset({Need.FEATURES})


def test_a_detector_that_wants_the_head_must_declare_the_classifier():
    with pytest.raises(PluginError, match=r"does not declare Need\.CLASSIFIER"):
        fit(Headless(), toy_problem())


def test_what_is_no_tensor_number_or_text_is_not_kept():
    with pytest.raises(PluginError, match="KNN learns knn, a NearestNeighbors; override state"):
        fit(Indexed(), toy_problem()).trainable.state()


@pytest.mark.parametrize("detector", [Mahalanobis(), RelativeMahalanobis(), HopfieldEnergy()])
def test_a_class_without_images_is_named(detector):
    problem = toy_problem()
    batch = Batch(torch.tensor([0, 2, 0, 2]), _features=torch.rand(4, 32))
    train = TensorStream(batch, shape=(1, 8, 8), num_classes=3)
    with pytest.raises(PluginError, match=r"no training images of the classes \[1\]"):
        detector.fit(train, problem.context(detector.needs))


def test_a_principal_space_of_all_features_is_refused():
    with pytest.raises(InvalidParameter, match="dimension must be less than 32"):
        fit(VirtualLogitMatching(dimension=32), toy_problem())


@pytest.mark.parametrize(("features", "dimension"), [(10, 5), (512, 256), (768, 512), (2048, 1000)])
def test_the_principal_space_is_as_large_as_the_authors_take_it(features, dimension):
    context = toy_problem().context(VirtualLogitMatching.needs)
    context.classifier.head = torch.nn.Linear(features, 3)
    assert VirtualLogitMatching().construct(context).d == dimension


def test_counts_below_one_are_refused():
    with pytest.raises(InvalidParameter, match="neighbours must be a whole number of at least 1"):
        NearestNeighbours(neighbours=0)
    with pytest.raises(InvalidParameter, match="dimension must be a whole number of at least 1"):
        VirtualLogitMatching(dimension=0)
