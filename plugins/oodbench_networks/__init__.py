"""ResNet-18, and the models of torchvision and timm by name."""

from oodbench.contracts import Classifier, hookimpl
from oodbench_networks.resnet18 import ResNet18
from oodbench_networks.timm_models import Timm
from oodbench_networks.torchvision_models import Torchvision


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the classifiers of this plugin."""
    return [ResNet18, Timm, Torchvision]
