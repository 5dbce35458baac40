"""Work for a GPU, recorded once as a CUDA graph and replayed.

A step of small networks consists of more than a thousand kernels, each of a few microseconds; a
processor launches them more slowly than the GPU computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recording, in which libraries set up what must not be recorded."""

Result = TypeVar("Result")


class Replayed(Generic[Result]):
    """A function of lists of tensors that is replayed on a GPU, and called elsewhere.

    Args:
        function: work for the device alone: it may wait for nothing, and change no state but that
            of tensors. The shapes of its arguments must stay the same.
        draws: the random generator that it draws from.
    """

    def __init__(self, function: Callable[..., Result], draws: torch.Generator) -> None:
        self._function = function
        self._draws = draws
        self._calls = 0
        self._graph: Any = None

    def __call__(self, *given: list[Tensor]) -> Result:
        """Return what the function returns; tensors in it are overwritten by the next call."""
        if self._draws.device.type != "cuda":
            return self._function(*given)
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._warm_up(given)
        if self._graph is None:
            self._record(given)
        for kept, new in zip(self._given, given, strict=True):
            torch._foreach_copy_(kept, new)
        self._graph.replay()
        return self._result

    def _warm_up(self, given: tuple[list[Tensor], ...]) -> Result:
        """Call the function on a stream of its own, as a recording needs it."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            result = self._function(*given)
        torch.cuda.current_stream().wait_stream(side)
        return result

    def _record(self, given: tuple[list[Tensor], ...]) -> None:
        """Record the function; nothing is computed yet."""
        self._given = tuple([tensor.clone() for tensor in each] for each in given)
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(self._draws)
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._result = self._function(*self._given)
