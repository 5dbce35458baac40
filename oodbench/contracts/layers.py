"""The outputs of a classifier's layers for a batch, which detectors reduce in the shared pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = "features"
"""The name, among gradients, of those in the penultimate features."""


@dataclass(frozen=True)
class Layers:
    """What the classifier computes for a batch, layer by layer. Nothing here may be written into.

    Attributes:
        outputs: the outputs of the layers by name, from early to late, float32: maps (n, c, h, w)
            of convolutional networks, tokens (n, t, d) of transformers.
        features: (n, d) float32, the penultimate features.
        logits: (n, k) float32.
    """

    outputs: Mapping[str, Tensor]
    features: Tensor
    logits: Tensor
    _gradients: Mapping[str, Tensor] | None = None
    _resume: Callable[[str, Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def gradients(self) -> Mapping[str, Tensor]:
        """The gradients of `Detector.differentiated` in each output, by the layer's name.

        Those in the penultimate features are `FEATURES`. Shapes and type are those of the outputs.

        Raises:
            PluginError: if the detector does not declare ``Need.LAYER_GRADIENTS``.
        """
        if self._gradients is None:
            raise PluginError("uses layers.gradients but does not declare Need.LAYER_GRADIENTS")
        return self._gradients

    def resume(self, name: str, output: Tensor) -> Tensor:
        """Return the logits (n, k) that follow where a layer has another output.

        Only what follows the layer is computed, if the network allows that.

        Args:
            name: of the layer.
            output: what it puts out, in the shape of its own output.
        """
        assert self._resume is not None
        return self._resume(name, output)


def by_channel(output: Tensor) -> Tensor:
    """Return maps (n, c, h, w) or tokens (n, t, d) as channels by places: (n, c, h w), (n, d, t).

    A detector that asks for channels and places alone works on both.
    """
    return output.flatten(2) if output.ndim == 4 else output.mT


def channels(shapes: Mapping[str, tuple[int, ...]]) -> list[int]:
    """Return the number of channels of each layer, given `Context.layers`."""
    return [shape[0] if len(shape) == 3 else shape[-1] for shape in shapes.values()]
