"""The layers of a network: those that its classifier names, or those that a rule finds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

GROUPS = 4
"""Layers of a network whose blocks all have one size, as those of transformers have."""


class Call(NamedTuple):
    """A call of a module while an image passed.

    Attributes:
        name: of the module.
        module: itself.
        output: what it returned.
    """

    name: str
    module: nn.Module
    output: Any


@dataclass(frozen=True)
class Layer:
    """A module whose output detectors read.

    Attributes:
        name: of the layer.
        module: puts it out.
        channels_last: whether it puts out maps as (n, h, w, c).
    """

    name: str
    module: nn.Module
    channels_last: bool = False

    def read(self, output: Tensor) -> Tensor:
        """Return the module's output as maps (n, c, h, w), or as tokens."""
        return output.permute(0, 3, 1, 2) if self.channels_last else output

    def write(self, output: Tensor) -> Tensor:
        """Return maps or tokens as the module puts them out."""
        return output.permute(0, 2, 3, 1) if self.channels_last else output


def find_layers(
    network: nn.Module, images: Tensor, named: Mapping[str, nn.Module]
) -> tuple[Layer, ...]:
    """Return the layers of a network, from early to late; none if it has none.

    Those that the classifier names are taken. Else, blocks are modules of which several of one
    class stand side by side, in no other block; what holds blocks of several sizes is none. A
    network without blocks has activations in their place, or else any modules. Of each size of maps
    the last block counts; where there is one size alone, as of tokens, the last of each quarter of
    the blocks. The last layer is the activation that follows its block, or the norm where there are
    tokens, if there is one.

    Args:
        network: maps images to logits.
        images: (n, c, h, w) a few, to try it with.
        named: what the classifier names.
    """
    calls = record(network, images)
    if named:
        of_module = {id(module): name for name, module in named.items()}
        found = (call for call in calls if id(call.module) in of_module)
        by_name = {of_module[id(call.module)]: call for call in found}
        return tuple(_layer(by_name[name], images, name) for name in named)
    often = Counter(id(call.module) for call in calls)
    single = [each for each in calls if often[id(each.module)] == 1 and _size(each.output, images)]
    large = [call for call in single if math.prod(_size(call.output, images)) > 1]
    blocks = (
        _blocks(single, images) or [call for call in large if _is_activation(call.module)] or large
    )
    chosen = _last_of_each(blocks, images)
    if not chosen:
        return ()
    chosen[-1] = _closing(chosen[-1], single, images)
    return tuple(_layer(call, images, call.name) for call in chosen)


def record(network: nn.Module, images: Tensor) -> list[Call]:
    """Return the calls of all modules of a network, in the order in which they end."""
    calls: list[Call] = []
    names = {id(module): name for name, module in network.named_modules()}

    def keep(module: nn.Module, output: Any) -> None:
        calls.append(Call(names[id(module)], module, output))

    with torch.no_grad(), hooked(network.modules(), keep):
        network(images)
    return calls


@contextmanager
def hooked(modules: Iterable[nn.Module], action: Any) -> Iterator[None]:
    """Call ``action(module, output)`` after each call of the modules; it may return another one."""
    with ExitStack() as stack:
        for module in modules:
            handle = module.register_forward_hook(lambda of, _, output: action(of, output))
            stack.callback(handle.remove)
        yield


def _layer(call: Call, images: Tensor, name: str) -> Layer:
    return Layer(name, call.module, _is_channels_last(call.output, images))


def _size(output: Any, images: Tensor) -> tuple[int, ...]:
    """Return the size of maps (h, w), or of tokens (t,); () if an output is neither."""
    if not isinstance(output, Tensor) or len(output) != len(images):
        return ()
    if output.ndim == 3:
        return (output.shape[1],)
    if output.ndim == 4 and _has_ratio(output.shape[2:], images):
        return tuple(output.shape[2:])
    return tuple(output.shape[1:3]) if _is_channels_last(output, images) else ()


def _is_channels_last(output: Tensor, images: Tensor) -> bool:
    if output.ndim != 4 or _has_ratio(output.shape[2:], images):
        return False
    return _has_ratio(output.shape[1:3], images)


def _has_ratio(size: Sequence[int], images: Tensor) -> bool:
    """Return whether maps of a size are as wide for their height as images, up to rounding."""
    (height, width), (image_height, image_width) = size, images.shape[2:]
    return abs(height * image_width - width * image_height) <= max(image_height, image_width)


def _blocks(calls: Sequence[Call], images: Tensor) -> list[Call]:
    """Return the calls of blocks."""
    kinds = {
        call.name: (call.name.rpartition(".")[0], type(call.module))
        for call in calls
        if any(call.module.children())
    }
    alike = Counter(kinds.values())
    repeated = {call.name: call for call in calls if call.name in kinds}
    repeated = {name: call for name, call in repeated.items() if alike[kinds[name]] > 1}
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for name, call in repeated.items():
        sizes.setdefault(name.rpartition(".")[0], set()).add(_size(call.output, images))
    names = {name for name in repeated if len(sizes.get(name, ())) < 2}
    return [call for call in calls if call.name in names and names.isdisjoint(above(call.name))]


def above(name: str) -> Iterator[str]:
    """Yield the names of the modules that a module is in."""
    while name := name.rpartition(".")[0]:
        yield name


def _last_of_each(blocks: Sequence[Call], images: Tensor) -> list[Call]:
    """Return the last block of each size, or of each quarter of them if there is but one size."""
    last = {_size(call.output, images): number for number, call in enumerate(blocks)}
    if len(last) > 1:
        return [blocks[number] for number in sorted(last.values())]
    ends = {math.ceil(quarter * len(blocks) / GROUPS) for quarter in range(1, GROUPS + 1)}
    return [blocks[end - 1] for end in sorted(ends) if end]


def _closing(last: Call, calls: Sequence[Call], images: Tensor) -> Call:
    """Return the activation, or the norm of tokens, that follows the last block; or that block."""
    size = _size(last.output, images)
    is_closing = _is_activation if last.output.ndim == 4 else _is_norm
    later = calls[calls.index(last) + 1 :] if last in calls else []
    found = [
        call for call in later if _size(call.output, images) == size and is_closing(call.module)
    ]
    return found[-1] if found else last


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == nn.ReLU.__module__


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()
