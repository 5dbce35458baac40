"""The models of timm, if it is installed."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from oodbench.contracts import DataUnavailable, Info, InvalidParameter
from oodbench_classifiers.library import LibraryModel

if TYPE_CHECKING:
    from torch import nn

    from oodbench_classifiers.wrappers import Wrapper


class Timm(LibraryModel):
    """A model of timm: ``timm/resnet18``, or to say which weights ``timm/resnet18.a1_in1k``.

    timm says itself which layer is the classifier, and what reaches it. Images are normalised as
    timm says for the model's weights. The parameters are those of `LibraryModel`.
    """

    info = Info(
        name="timm",
        summary="Any model of timm, by name: timm/resnet18 (needs oodbench[timm]).",
    )

    def construct(self, num_classes: int) -> Wrapper:
        """Return the model, wrapped."""
        from oodbench_classifiers.wrappers import PreLogits

        timm = _import()
        if not timm.is_model(self.model):
            known = timm.list_models() + timm.list_pretrained()
            close = difflib.get_close_matches(self.model, known, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise InvalidParameter(f"timm has no such model{hint}")
        try:
            network = timm.create_model(self.model, pretrained=False, num_classes=num_classes)
        except RuntimeError as error:  # what follows the dot names no weights of the model
            raise InvalidParameter(f"timm cannot make it: {error}") from error
        config = network.pretrained_cfg
        return PreLogits(network, config["mean"], config["std"], self.size)

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Give the module timm's weights, if there are some for that number of classes."""
        network: Any = module.network
        config = network.pretrained_cfg
        has_some = any(config.get(key) for key in ("hf_hub_id", "url", "file"))
        if not self.pretrained or not has_some or config["num_classes"] != num_classes:
            return False
        try:
            found = _import().create_model(self.model, pretrained=True)
        except Exception as error:  # a hub's client raises what its own libraries do
            raise DataUnavailable(
                f"{self.full_name}: its weights cannot be fetched ({type(error).__name__}); "
                "--set timm.pretrained=no trains it here"
            ) from error
        network.load_state_dict(found.state_dict())
        return True


def _import() -> Any:
    """Return timm.

    Raises:
        InvalidParameter: if it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise InvalidParameter("timm is not installed: pip install 'oodbench[timm]'") from error
    return timm
