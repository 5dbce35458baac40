"""The detectors that pytorch-ood computes from features."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood

from oodbench.contracts import Batch, InvalidParameter, Need, PluginError
from oodbench.testing import fit, toy_problem
from oodbench_posthoc.adapter import FeaturesAdapter
from oodbench_posthoc.ash import ActivationShaping
from oodbench_posthoc.dice import SparseHead
from oodbench_posthoc.fdbd import BoundaryDistance
from oodbench_posthoc.gmm import ClassGaussians
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.lts import LogitScaling
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.nci import NeuralCollapse
from oodbench_posthoc.neco import NeuralCollapseRatio
from oodbench_posthoc.nnguide import NeighbourGuidance
from oodbench_posthoc.pnml import LikelihoodRegret
from oodbench_posthoc.residual import Residual
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.rmd_pp import NormalisedRelativeMahalanobis
from oodbench_posthoc.scale import ActivationScaling
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.vim import VirtualLogitMatching

HEAD = toy_problem().classifier.head

EQUIVALENT = [
    pytest.param(NearestNeighbours(), pytorch_ood.KNN(None, k=50), id="knn"),
    pytest.param(NearestNeighbours(neighbours=3), pytorch_ood.KNN(None, k=3), id="knn-3"),
    pytest.param(HopfieldEnergy(), pytorch_ood.SHE(None, HEAD), id="she"),
    pytest.param(BoundaryDistance(), pytorch_ood.fDBD(None, HEAD), id="fdbd"),
    pytest.param(ClassGaussians(), pytorch_ood.GMM(None), id="gmm"),
    pytest.param(ClassGaussians(regularization=0.1), pytorch_ood.GMM(None, 0.1), id="gmm-0.1"),
    pytest.param(NeuralCollapse(), pytorch_ood.NCI(None, HEAD), id="nci"),
    pytest.param(NeuralCollapse(norm_weight=0.1), pytorch_ood.NCI(None, HEAD, 0.1), id="nci-0.1"),
    pytest.param(NeighbourGuidance(), pytorch_ood.NNGuide(None, HEAD), id="nnguide"),
    pytest.param(
        NeighbourGuidance(neighbours=3), pytorch_ood.NNGuide(None, HEAD, 3), id="nnguide-3"
    ),
    pytest.param(SparseHead(), pytorch_ood.DICE(None, HEAD.weight, HEAD.bias, 0.9), id="dice"),
    pytest.param(LogitScaling(), pytorch_ood.LTS(None, HEAD), id="lts"),
    pytest.param(LogitScaling(top_share=0.2), pytorch_ood.LTS(None, HEAD, 0.2), id="lts-0.2"),
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
        # scores of NCI pass through 0
        torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-7, check_dtype=False)


@pytest.mark.parametrize(
    ("detector", "learned"),
    [
        (Mahalanobis(), {"origin_", "whitening_", "means_"}),
        (VirtualLogitMatching(), {"principal_subspace", "alpha"}),
        (HopfieldEnergy(), {"classes", "patterns"}),
        (NearestNeighbours(), {"bank_"}),
    ],
    ids=["mahalanobis", "vim", "she", "knn"],
)
def test_what_was_learned_is_kept_and_nothing_else(detector, learned):
    assert fit(detector, toy_problem()).trainable.state().keys() == learned


def test_what_was_restored_can_be_kept_again():
    fitted = fit(Mahalanobis(), toy_problem())
    assert fitted.restored().state().keys() == fitted.trainable.state().keys()


def test_the_pattern_of_a_class_that_is_never_recognised_is_its_mean():
    problem = toy_problem()
    context = problem.context(HopfieldEnergy.needs)
    context.classifier.head.bias[1] = -1e6
    train = problem.train(HopfieldEnergy.needs)
    patterns = HopfieldEnergy().fit(train, context).state()["patterns"]
    expected = train.whole.features[train.whole.labels == 1].mean(dim=0)
    torch.testing.assert_close(patterns[1], expected)


class Indexed(FeaturesAdapter):
    """Keep what scikit-learn fitted, as it is."""

    original = "KNN"
    info = NearestNeighbours.info

    def __init__(self, *, k: int = 50) -> None:
        self.k = k

    def fit(self, train, context):
        super().fit(train, context)
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


def test_a_principal_space_of_all_features_is_refused():
    with pytest.raises(InvalidParameter, match="dimension must be less than 32"):
        fit(VirtualLogitMatching(dimension=32), toy_problem())


@pytest.mark.parametrize(("features", "dimension"), [(10, 5), (512, 256), (768, 512), (2048, 1000)])
def test_the_principal_space_is_as_large_as_the_authors_take_it(features, dimension):
    context = toy_problem().context(VirtualLogitMatching.needs)
    context.classifier.head = torch.nn.Linear(features, 3)
    assert VirtualLogitMatching().construct(context).d == dimension


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_of_0_to_1_is_refused(share):
    with pytest.raises(InvalidParameter, match="sparsity must be at least 0 and less than 1"):
        SparseHead(sparsity=share)


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_a_share_that_keeps_no_image_or_more_than_all_is_refused(share):
    with pytest.raises(InvalidParameter, match="share must be greater than 0 and at most 1"):
        NearestNeighbours(share=share)


def test_the_share_of_training_images_that_are_kept_is_always_the_same():
    whole = fit(NearestNeighbours(), toy_problem()).trainable.state()["bank_"]
    parts = [
        fit(NearestNeighbours(share=0.25), toy_problem(), seed=seed).trainable.state()["bank_"]
        for seed in (0, 1)
    ]
    assert torch.equal(*parts)
    assert parts[0].shape == (75, 32)
    assert all((whole == row).all(dim=1).any() for row in parts[0])


@pytest.mark.parametrize(
    "detector", [NearestNeighbours(share=0.1), NeighbourGuidance(neighbours=301)]
)
def test_more_neighbours_than_images_are_refused(detector):
    with pytest.raises(
        PluginError, match=r"needs at least (500|301) training images, and there are 300"
    ):
        fit(detector, toy_problem())


def test_counts_below_one_are_refused():
    with pytest.raises(InvalidParameter, match="neighbours must be a whole number of at least 1"):
        NearestNeighbours(neighbours=0)
    with pytest.raises(InvalidParameter, match="dimension must be a whole number of at least 1"):
        VirtualLogitMatching(dimension=0)


@pytest.mark.parametrize("detector", [LogitScaling(), ActivationShaping(), ActivationScaling()])
def test_features_that_are_all_zero_are_scored_as_small_equal_ones(detector):
    """A ratio of their sums is not 0 / 0."""
    fitted = fit(detector, toy_problem()).trainable
    features = torch.tensor([0.0, 1e-30])[:, None].repeat(1, HEAD.in_features)
    zero, small = fitted.score(Batch(torch.tensor([-1, -1]), features=features))
    torch.testing.assert_close(zero, small)


def test_lts_scores_images_without_a_feature_above_0():
    fitted = fit(LogitScaling(), toy_problem()).trainable
    features = -torch.rand((5, HEAD.in_features), generator=torch.Generator().manual_seed(0))
    assert fitted.score(Batch(torch.full((5,), -1), features=features)).isfinite().all()


@pytest.mark.parametrize(
    "detector",
    [
        VirtualLogitMatching(),
        Residual(),
        Mahalanobis(),
        RelativeMahalanobis(),
        NormalisedRelativeMahalanobis(),
        NeuralCollapseRatio(),
        LikelihoodRegret(),
    ],
)
def test_few_images_for_many_features_are_remarked_on(detector):
    fitted = fit(detector, toy_problem()).trainable
    (said,) = fitted.remarks()
    assert said.startswith("Learned from 300 images of 32 features: other ID images are farther")
    fitted.learned_from = 320, 32
    assert fitted.remarks() == []


def test_each_gaussian_of_a_class_of_its_own_learns_from_the_images_of_its_class():
    (said,) = fit(ClassGaussians(), toy_problem()).trainable.remarks()
    assert said.startswith("Learned from 100 images of 32 features")
