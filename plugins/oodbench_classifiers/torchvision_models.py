"""The models of torchvision."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from oodbench.contracts import DataUnavailable, Info, InvalidParameter
from oodbench_classifiers.library import LibraryModel
from oodbench_classifiers.normalisation import STATISTICS

if TYPE_CHECKING:
    from torch import nn

    from oodbench_classifiers.wrappers import Wrapper


class Torchvision(LibraryModel):
    """A classification model of torchvision: ``torchvision/resnet50``.

    The head is the last linear layer, and features are what reaches it. Models that classify by a
    convolution, such as SqueezeNet, have none and are refused. Images are normalised as those of
    ImageNet. The parameters are those of `LibraryModel`.
    """

    info = Info(
        name="torchvision",
        summary="Any classification model of torchvision, by name: torchvision/resnet50.",
    )

    def construct(self, num_classes: int) -> Wrapper:
        """Return the model, wrapped."""
        from torchvision import models

        from oodbench_classifiers.wrappers import LastLinear

        known = models.list_models(module=models)
        if self.model not in known:
            close = difflib.get_close_matches(self.model, known, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise InvalidParameter(f"torchvision has no such model{hint}")
        options: dict[str, Any] = {"weights": None, "num_classes": num_classes}
        if self.model in ("googlenet", "inception_v3"):
            # no outputs in the middle, which help training alone; inputs as the weights want them
            options |= {"aux_logits": False, "init_weights": True, "transform_input": True}
        return LastLinear(
            models.get_model(self.model, **options), *STATISTICS["imagenet"], self.size
        )

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Give the module torchvision's weights, if there are some for that number of classes."""
        from urllib.error import URLError

        from torchvision import models

        weights: Any = getattr(models.get_model_weights(self.model), "DEFAULT", None)
        if not self.pretrained or weights is None:
            return False
        if len(weights.meta["categories"]) != num_classes:
            return False
        try:
            # weights_only: what is downloaded may hold tensors and nothing that runs
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except (URLError, OSError, RuntimeError) as error:
            raise DataUnavailable(
                f"{self.full_name}: its weights cannot be fetched ({error}); "
                "--set torchvision.pretrained=no trains it here"
            ) from error
        network: Any = module.network
        own = network.state_dict().keys()
        network.load_state_dict({name: value for name, value in state.items() if name in own})
        return True
