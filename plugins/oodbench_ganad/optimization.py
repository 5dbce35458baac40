"""What the trainings of GANAD's networks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contracts import Context

REPORT_EVERY = 50
"""Steps between two readings of the losses; each waits for the device."""


class FallingAdam:
    """Adam whose learning rate falls linearly from the first to the last step.

    Args:
        network: its weights are optimised.
        steps: number of steps.
        rate: learning rate of the first step.
        last_rate: learning rate after the last step.
        betas: decay of the averages of gradients and of their squares.
    """

    def __init__(
        self,
        network: nn.Module,
        steps: int,
        rate: float,
        last_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.weights = list(network.parameters())
        device = self.weights[0].device
        recordable = device.type == "cuda"  # a recorded step reads its learning rate on the GPU
        self.adam = torch.optim.Adam(
            self.weights,
            lr=torch.tensor(rate, device=device) if recordable else rate,
            betas=betas,
            fused=True,
            capturable=recordable,
        )
        self.steps = steps
        self.rates = (rate, last_rate)
        self.done = 0

    def step_on(self, loss: Tensor) -> None:
        """Take one step down the gradient of a loss, for these weights alone."""
        self.advance(1)
        self.descend(loss)

    def advance(self, count: int) -> None:
        """Set the learning rate of the next ``count`` steps, and count them as done."""
        first, last = self.rates
        rate = first + (last - first) * self.done / self.steps
        for group in self.adam.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.done += count

    def descend(self, loss: Tensor) -> None:
        """Take a step of those that `advance` announced: work for the device alone."""
        self.adam.zero_grad()
        torch.autograd.backward(loss, inputs=self.weights)
        self.adam.step()

    def state(self) -> dict[str, Tensor | int]:
        """Return what `restore` needs to resume from here."""
        averages = {
            f"{index}.{name}": value
            for index, weight in enumerate(self.weights)
            for name, value in self.adam.state[weight].items()
        }
        return {"done": self.done, **averages}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        self.done = state["done"]
        for name, value in state.items():
            index, _, average = name.partition(".")
            if average:
                weight = self.weights[int(index)]
                like = value.to(weight.device) if average == "step" else torch.empty_like(weight)
                self.adam.state[weight][average] = like.copy_(value)  # in the weight's layout


class AveragedWeights:
    """An exponential moving average of a network's weights.

    Args:
        network: its weights are averaged, from those it has now.
        decay: share of the average that a step keeps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.weights = list(network.parameters())
        self.averages = [weight.detach().clone() for weight in self.weights]
        self.decay = decay

    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        torch._foreach_lerp_(self.averages, [w.detach() for w in self.weights], 1 - self.decay)

    def copy_to(self, network: nn.Module) -> None:
        """Give a network of the same kind the averaged weights."""
        with torch.no_grad():
            for weight, average in zip(network.parameters(), self.averages, strict=True):
                weight.copy_(average)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` needs to resume from here."""
        return {str(index): average for index, average in enumerate(self.averages)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state."""
        for index, average in enumerate(self.averages):
            average.copy_(state[str(index)])


def reduced_precision(context: Context) -> torch.autocast:
    """Return a context manager that computes convolutions and products in bfloat16 if allowed."""
    return torch.autocast(
        context.device.type, dtype=torch.bfloat16, enabled=context.precision == "bfloat16"
    )
