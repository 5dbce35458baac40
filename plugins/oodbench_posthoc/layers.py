"""Reading and changing the outputs of a classifier's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from oodbench.contracts import Batch, Context, Need, PluginError, Stream
from oodbench_posthoc.adapter import FittedAdapter

if TYPE_CHECKING:
    from torch import Tensor, nn


class Layers:
    """Some layers of a classifier, from early to late.

    They are found by passing an image: of all modules that put out maps (n, c, h, w) of more than
    one place, those that do so last at each height and width. In a residual network, these are
    its groups of blocks.

    Args:
        classifier: maps images to logits; has ``features`` and ``head``.
        context: gives the shape of the images and the device.

    Raises:
        PluginError: if there are none.
    """

    def __init__(self, classifier: nn.Module, context: Context) -> None:
        import torch

        self.classifier: Any = classifier
        passed: list[tuple[nn.Module, Any]] = []
        with ExitStack() as stack:
            for module in classifier.modules():
                stack.enter_context(_hooked(module, lambda of, out: passed.append((of, out))))
            with torch.no_grad():
                self.classifier(torch.zeros(1, *context.shape, device=context.device))
        often = [module for module, _ in passed]
        last = {
            tuple(out.shape[2:]): module
            for module, out in passed
            if isinstance(out, torch.Tensor)
            and out.ndim == 4
            and out.shape[2:].numel() > 1
            and sum(other is module for other in often) == 1
        }
        if not last:
            raise PluginError("this classifier has no layer that outputs maps (n, c, h, w)")
        self.modules = sorted(last.values(), key=lambda module: _position(module, often))

    def __len__(self) -> int:
        return len(self.modules)

    def __call__(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the maps of each layer, (n, c, h, w), and the logits, (n, k)."""
        return self._pass(images, lambda maps: maps)

    def opened(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the same, so that gradients of the logits can be taken in the maps.

        They begin at the first layer: the classifier is frozen, and images take no gradients.
        """
        import torch

        with torch.enable_grad():
            return self._pass(
                images,
                lambda maps: maps if maps.requires_grad else maps.detach().requires_grad_(),
            )

    def _pass(
        self, images: Tensor, change: Callable[[Tensor], Tensor]
    ) -> tuple[list[Tensor], Tensor]:
        found: list[Tensor] = []

        def keep(_: nn.Module, maps: Tensor) -> Tensor:
            found.append(change(maps))
            return found[-1]

        with ExitStack() as stack:
            for module in self.modules:
                stack.enter_context(_hooked(module, keep))
            logits: Tensor = self.classifier(images)
        return found, logits

    def logits(self, images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the logits (n, k) after the maps of the last layer are changed."""
        with _hooked(self.modules[-1], lambda _, out: change(out)):
            logits: Tensor = self.classifier(images)
        return logits


@contextmanager
def _hooked(module: nn.Module, action: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Call ``action(module, output)`` after each call of the module, and output what it returns."""
    handle = module.register_forward_hook(lambda of, _, out: action(of, out))
    try:
        yield
    finally:
        handle.remove()


def _position(module: nn.Module, modules: list[nn.Module]) -> int:
    return next(number for number, other in enumerate(modules) if other is module)


class Loader:
    """The images of a stream and, on the CPU, its labels, in the form that pytorch-ood takes.

    Args:
        train: the stream.
    """

    def __init__(self, train: Stream) -> None:
        self._train = train

    def __len__(self) -> int:
        return len(self._train)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._train:
            yield batch.inputs, batch.labels.cpu()


class LayersAdapter(FittedAdapter):
    """A detector of pytorch-ood that reads several layers of the classifier.

    Images pass through the classifier again, in float32, where it is fitted and where it scores:
    what all layers put out would not fit into memory, nor onto a disk.
    """

    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    layers: Layers

    def construct(self, context: Context | None = None) -> Any:
        """Find the layers of the classifier, and return a new detector of pytorch-ood."""
        assert context is not None
        self.layers = Layers(context.classifier, context)
        return super().construct(context)

    def read(self, batch: Batch) -> Tensor:
        """Return the images: (n, c, h, w) float32 in [0, 1]."""
        return batch.inputs
