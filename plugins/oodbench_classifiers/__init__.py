"""Networks: the GANAD paper's, a fast one, ResNet-18, and those of torchvision and timm."""

from oodbench.contracts import Classifier, hookimpl
from oodbench_classifiers.efficientnet_lite import EfficientNetLite
from oodbench_classifiers.fast_convnet import FastConvNet
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_classifiers.quick_convnet import QuickConvNet
from oodbench_classifiers.resnet18 import ResNet18
from oodbench_classifiers.timm_models import Timm
from oodbench_classifiers.torchvision_models import Torchvision
from oodbench_classifiers.wide_resnet import WideResNet


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the classifiers of this plugin."""
    return [
        EfficientNetLite,
        FastConvNet,
        PreactResNet,
        QuickConvNet,
        ResNet18,
        Timm,
        Torchvision,
        WideResNet,
    ]
