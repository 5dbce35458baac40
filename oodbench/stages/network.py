"""A classifier through which images pass once, with the outputs of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contracts import FEATURES, Layers, PluginError, Trainable
from oodbench.stages.layers import Call, Layer, above, find_layers, hooked, record
from oodbench.stages.modules import autocast

TRIED = 2
"""Images of noise that pass when layers are looked for."""


@dataclass(frozen=True)
class Passed:
    """What a network computed for a batch.

    Attributes:
        features: (n, d) float32.
        logits: (n, k) float32.
    """

    features: Tensor
    logits: Tensor
    _outputs: Mapping[str, Tensor]
    _resume: Any

    def layers(self, trainable: Trainable | None = None) -> Layers:
        """Return the outputs of the layers.

        Args:
            trainable: whose `Trainable.differentiated` is differentiated, in a batch that passed
                with gradients; None for no gradients.
        """
        gradients = None if trainable is None else self._gradients(trainable)
        outputs = {name: output.detach().float() for name, output in self._outputs.items()}
        features, logits = self.features.detach(), self.logits.detach()
        return Layers(outputs, features, logits, gradients, self._resume)

    def _gradients(self, trainable: Trainable) -> dict[str, Tensor]:
        given = {**self._outputs, FEATURES: self.features}
        with torch.enable_grad():
            total = trainable.differentiated(self.features, self.logits).sum()
        found = torch.autograd.grad(
            total, list(given.values()), retain_graph=True, materialize_grads=True
        )
        return {name: each.float() for name, each in zip(given, found, strict=True)}


class Network:
    """A classifier's module, with the outputs of its layers where they are asked for.

    Args:
        module: the trained module, in evaluation mode.
        device: ``"cpu"`` or ``"cuda"``.
        precision: of the backbone; the head always computes in float32.

    Attributes:
        forwarded: images that passed, those included that pass again for `Layers.resume`.
        shapes: of the outputs of its layers for one image, by name; empty before `look_inside`.
        by_rule: whether a rule found the layers, since the classifier names none.
    """

    def __init__(self, module: nn.Module, device: str, precision: str = "float32") -> None:
        self._module: Any = module
        self._device = device
        self._precision = precision
        self._layers: tuple[Layer, ...] = ()
        self._before: dict[str, list[Call]] = {}
        self.forwarded = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.by_rule = False

    def look_inside(self, named: Mapping[str, nn.Module], shape: tuple[int, int, int]) -> None:
        """Find the layers.

        Args:
            named: what `Classifier.layers` returns.
            shape: (c, h, w) of the images.

        Raises:
            PluginError: if there are none.
        """
        noise = torch.rand(TRIED, *shape, generator=torch.Generator().manual_seed(0))
        noise = noise.to(self._device)
        self._layers = find_layers(self._module, noise, named)
        if not self._layers:
            raise PluginError("this classifier has no layer that puts out maps or tokens")
        layers = self(noise).layers()
        with torch.no_grad():
            self._before = calls_before(self._module, noise, self._layers)
            for name, output in layers.outputs.items():
                if not self._resumes(noise, name, output, layers.logits):
                    del self._before[name]
        self.forwarded, self.by_rule = 0, not named
        self.shapes = {name: tuple(output.shape[1:]) for name, output in layers.outputs.items()}

    def __call__(self, images: Tensor, *, gradients: bool = False) -> Passed:
        """Pass images (n, c, h, w), float32 in [0, 1].

        Args:
            images: on the device.
            gradients: whether gradients in the outputs of layers will be taken. They begin at the
                first layer: the network is frozen, and images take no gradients.
        """
        outputs: dict[str, Tensor] = {}
        layer_of = {id(layer.module): layer for layer in self._layers}

        def keep(module: nn.Module, output: Tensor) -> Tensor | None:
            layer = layer_of[id(module)]
            begins = gradients and not output.requires_grad
            opened = output.detach().requires_grad_() if begins else output
            outputs[layer.name] = layer.read(opened)
            # what is read is part of the path to the logits, so that there are gradients in it
            return layer.write(outputs[layer.name]) if gradients else None

        modules = [layer.module for layer in self._layers]
        with torch.set_grad_enabled(gradients), hooked(modules, keep):
            features = self._features(images)
            logits = self._module.head(features)
        self.forwarded += len(images)
        ordered = {layer.name: outputs[layer.name] for layer in self._layers}
        return Passed(features, logits, ordered, partial(self._resume, images))

    def _features(self, images: Tensor) -> Tensor:
        with autocast(self._device, self._precision):
            features: Tensor = self._module.features(images)
        return features.float()

    def _resume(self, images: Tensor, name: str, output: Tensor) -> Tensor:
        """Return the logits of images where a layer has another output."""
        (layer,) = (each for each in self._layers if each.name == name)
        skipped = self._before.get(name)
        if skipped is None:
            self.forwarded += len(images)
        with torch.no_grad(), ExitStack() as stack:
            for module, returned in _by_module(skipped or (), len(images)).items():
                stack.enter_context(_returning(module, returned))
            stack.enter_context(_returning(layer.module, [layer.write(output)]))
            logits: Tensor = self._module.head(self._features(images))
        return logits

    def _resumes(self, images: Tensor, name: str, output: Tensor, logits: Tensor) -> bool:
        """Return whether the logits follow although what comes before a layer is left out."""
        try:
            found = self._resume(images, name, output)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
            return False
        return torch.allclose(found, logits, rtol=1e-2, atol=1e-2 * float(logits.abs().max()))


def calls_before(
    network: nn.Module, images: Tensor, layers: tuple[Layer, ...]
) -> dict[str, list[Call]]:
    """Return the calls of modules that end before each layer has its output, by its name.

    Of modules within each other, the outermost that ends by then.
    """
    calls = record(network, images)
    found = {}
    for layer in layers:
        end = next(number for number, call in enumerate(calls) if call.module is layer.module)
        earlier = calls[:end]
        names = {call.name for call in earlier}
        inner = {call.name for call in earlier for outer in above(call.name) if outer in names}
        found[layer.name] = [
            call
            for call in earlier
            if call.name not in inner and not call.name.startswith(f"{calls[end].name}.")
        ]
    return found


def _by_module(calls: Iterable[Call], count: int) -> dict[nn.Module, list[Tensor]]:
    """Return what skipped modules return for a number of images: NaN, so that no value is used."""
    found: dict[nn.Module, list[Tensor]] = {}
    for _, module, output in calls:
        if isinstance(output, Tensor) and len(output) == TRIED:
            nothing = output.new_full((), torch.nan).expand(count, *output.shape[1:])
            found.setdefault(module, []).append(nothing)
    return found


@contextmanager
def _returning(module: nn.Module, outputs: list[Tensor]) -> Iterator[None]:
    """Have the next calls of a module return these outputs, without computing anything."""
    forward, own = module.forward, "forward" in vars(module)
    waiting = iter(outputs)

    def skip(*inputs: Any, **named: Any) -> Any:
        found = next(waiting, None)
        return forward(*inputs, **named) if found is None else found

    module.forward = skip
    try:
        yield
    finally:
        if own:
            module.forward = forward
        else:
            del module.forward
