"""Post-hoc detectors of a trained classifier, most of them computed by pytorch-ood."""

from collections.abc import Sequence

from oodbench.contracts import Detector, hookimpl
from oodbench_posthoc.adascale import AdaptiveActivationScaling, AdaptiveLogitScaling
from oodbench_posthoc.ash import ActivationShaping
from oodbench_posthoc.cop import CosinePrincipalComponents
from oodbench_posthoc.cosine import CosineSimilarity
from oodbench_posthoc.dice import SparseHead
from oodbench_posthoc.doctor import Doctor
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.ensemble import MeanProbability, MutualInformation
from oodbench_posthoc.entropy import Entropy
from oodbench_posthoc.fdbd import BoundaryDistance
from oodbench_posthoc.gen import GeneralisedEntropy
from oodbench_posthoc.gmm import ClassGaussians
from oodbench_posthoc.gradnorm import GradientNorm
from oodbench_posthoc.gradorth import OrthogonalGradients
from oodbench_posthoc.graduncertainty import GradientUncertainty
from oodbench_posthoc.gram import GramMatrices
from oodbench_posthoc.grood import PrototypeGradients
from oodbench_posthoc.iodin import InfluentialOdin
from oodbench_posthoc.kernel_pca import KernelPrincipalComponents
from oodbench_posthoc.klmatching import PosteriorMatching
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.lts import LogitScaling
from oodbench_posthoc.mahalanobis import Mahalanobis
from oodbench_posthoc.mahalanobis_odin import PerturbedMahalanobis
from oodbench_posthoc.mahalanobis_pp import NormalisedMahalanobis
from oodbench_posthoc.margin import Margin
from oodbench_posthoc.maxlogit import MaximumLogit
from oodbench_posthoc.mcd import MonteCarloDropout
from oodbench_posthoc.msp import MaximumSoftmax
from oodbench_posthoc.multi_mahalanobis import LayeredMahalanobis
from oodbench_posthoc.nac import NeuronCoverage
from oodbench_posthoc.nci import NeuralCollapse
from oodbench_posthoc.neco import NeuralCollapseRatio
from oodbench_posthoc.nnguide import NeighbourGuidance
from oodbench_posthoc.odin import Odin
from oodbench_posthoc.openmax import OpenMax
from oodbench_posthoc.pnml import LikelihoodRegret
from oodbench_posthoc.rankfeat import RankFeature
from oodbench_posthoc.react import RectifiedActivations
from oodbench_posthoc.relation import NeuralRelation
from oodbench_posthoc.residual import Residual
from oodbench_posthoc.rmd import RelativeMahalanobis
from oodbench_posthoc.rmd_pp import NormalisedRelativeMahalanobis
from oodbench_posthoc.scale import ActivationScaling
from oodbench_posthoc.she import HopfieldEnergy
from oodbench_posthoc.temperature_scaling import TemperatureScaling
from oodbench_posthoc.vim import VirtualLogitMatching
from oodbench_posthoc.vra import VariationalRectification
from oodbench_posthoc.weiper import PerturbedWeights

ABSENT = {
    "mcm": "takes embeddings of the classes' names, which a classifier of images does not have",
    "webo": "takes a weight for each class, which training with pytorch-ood's VOS loss yields",
}
"""Detectors of pytorch-ood that cannot be derived from a classifier, with the reason."""


@hookimpl
def oodbench_absent() -> Sequence[tuple[str, str]]:
    """Return the detectors of pytorch-ood that are not there, with the reason."""
    return tuple(ABSENT.items())


@hookimpl
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the detector classes."""
    return (
        # of logits
        MaximumSoftmax,
        MaximumLogit,
        Energy,
        Entropy,
        GeneralisedEntropy,
        TemperatureScaling,
        PosteriorMatching,
        OpenMax,
        Margin,
        Doctor,
        MeanProbability,
        MutualInformation,
        # of features
        Mahalanobis,
        RelativeMahalanobis,
        NormalisedMahalanobis,
        NormalisedRelativeMahalanobis,
        CosineSimilarity,
        NearestNeighbours,
        VirtualLogitMatching,
        Residual,
        NeuralCollapseRatio,
        CosinePrincipalComponents,
        KernelPrincipalComponents,
        NeuralRelation,
        HopfieldEnergy,
        BoundaryDistance,
        ClassGaussians,
        NeuralCollapse,
        NeighbourGuidance,
        LikelihoodRegret,
        PerturbedWeights,
        # of changed features or logits
        SparseHead,
        LogitScaling,
        RectifiedActivations,
        VariationalRectification,
        ActivationShaping,
        ActivationScaling,
        # of gradients
        GradientNorm,
        GradientUncertainty,
        OrthogonalGradients,
        PrototypeGradients,
        Odin,
        InfluentialOdin,
        PerturbedMahalanobis,
        AdaptiveActivationScaling,
        AdaptiveLogitScaling,
        # of several layers
        RankFeature,
        LayeredMahalanobis,
        GramMatrices,
        NeuronCoverage,
        # of a classifier with dropout
        MonteCarloDropout,
    )
