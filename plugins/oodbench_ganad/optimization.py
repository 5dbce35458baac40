"""Hold what the trainings of GANAD's networks have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from oodbench.contracts import Context

REPORT_EVERY = 50
"""Steps between two looks at the losses; each look waits for the device."""


class FallingAdam:
    """Adam whose learning rate falls on a line from the first to the last step.

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
        self.adam = torch.optim.Adam(self.weights, lr=rate, betas=betas, fused=True)
        self.schedule = torch.optim.lr_scheduler.LinearLR(
            self.adam, start_factor=1.0, end_factor=last_rate / rate, total_iters=steps
        )

    def step_on(self, loss: Tensor) -> None:
        """Take one step down the gradient of a loss, for these weights alone."""
        self.adam.zero_grad()
        torch.autograd.backward(loss, inputs=self.weights)
        self.adam.step()
        self.schedule.step()


def reduced_precision(context: Context) -> torch.autocast:
    """Return a context manager that computes convolutions and products in bfloat16 if allowed."""
    return torch.autocast(
        context.device.type, dtype=torch.bfloat16, enabled=context.precision == "bfloat16"
    )
