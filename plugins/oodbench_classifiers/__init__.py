"""The classifiers of the GANAD paper."""

from oodbench.contracts import Classifier, hookimpl
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_classifiers.wide_resnet import WideResNet


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the classifiers of this plugin."""
    return [PreactResNet, WideResNet]
