"""Every registered plugin keeps the contract."""

from importlib.util import find_spec

import pytest

from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.images.subsets import split_classes
from oodbench.registry.loading import Plugins
from oodbench.registry.lookup import load_registry
from oodbench.request.classifiers import make_classifier
from oodbench.testing import checks, parametrize_with_checks

REGISTRY = load_registry()

_GENERATOR = {"recipe": "tiny", "steps": 30}
_GANAD = {**_GENERATOR, "anomaly_steps": 40}
QUICK = {
    "wgan-critic": {**_GENERATOR, "steps": 80},
    **{name: {"steps": 150} for name in ("autoencoder", "vae", "input-complexity")},
    **dict.fromkeys(("ganad", "ganad-oe", "ganad-real", "ganad-joint"), _GANAD),
    **{name: {**_GENERATOR, "count": 70} for name in ("ganad-fakes", "ganad-anomalies")},
    "deep-isolation-forest": {"networks": 3},
    "nac-ue": {"steepness": "1"},  # the authors' is for smaller features
    "torchvision": {"model": "shufflenet_v2_x0_5"},
    "timm": {"model": "test_resnet"},
    "efficientnet-lite": {"size": 64},
}
"""Parameters with which plugins are trained, or built, in seconds, or suit the toy problem."""

QUICK |= {
    name: {"recipe": "tiny"}
    for name, entry in REGISTRY.detectors.items()
    if entry.target.family == "literature"
}

OPTIONAL = {"timm": "timm", "efficientnet-lite": "efficientnet_lite_pytorch"}
"""The packages that classifiers need and an installation may lack."""

COMPOSITIONS = (
    "react+dice",
    "react+knn",
    "ash+knn",
    "ash+gen",
    "scale+msp",
    "dice+energy",
    "vra+mahalanobis",
    "lts+maxlogit",
    "react+ash+msp",
    "react+odin",
    "react+gradnorm",
    "react+vim",
)
"""One of every shaping, and every kind of score."""


def created(names):
    return [names[name].create(**QUICK.get(name, {})) for name in names]


def built(names):
    can_be = [name for name in names if find_spec(OPTIONAL.get(name, "oodbench"))]
    return [make_classifier(name, REGISTRY, QUICK) for name in can_be]


def test_every_plugin_loads():
    assert REGISTRY.failures == []


def detector_checks():
    """Yield every check of every detector; to train on a pretended GPU takes long."""
    for name in REGISTRY.detectors:
        for check in checks(REGISTRY.detectors[name].create(**QUICK.get(name, {}))):
            slow = check.name == "device" and name in QUICK
            yield pytest.param(check, id=str(check), marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("check", list(detector_checks()))
def test_detector(check):
    check()


@parametrize_with_checks([REGISTRY.detectors[name].create() for name in COMPOSITIONS])
def test_composition(check):
    check()


@parametrize_with_checks(created(REGISTRY.datasets))
def test_dataset(check):
    check()


@parametrize_with_checks(built(REGISTRY.classifiers))
def test_classifier(check):
    check()


@parametrize_with_checks([path for _, path in Plugins().collect("oodbench_benchmarks")])
def test_benchmark(check):
    check()


@pytest.mark.parametrize("name", REGISTRY.benchmarks)
def test_benchmarks_name_what_is_registered(name):
    benchmark = REGISTRY.benchmarks[name].target
    for dataset in (benchmark.id, *benchmark.ood):
        assert split_classes(dataset)[0] in REGISTRY.datasets
    assert benchmark.classifier == NO_CLASSIFIER or benchmark.classifier in REGISTRY.classifiers
