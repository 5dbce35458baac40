"""Build the blocks of the generator and of the critic.

A convolution that follows a nearest upsampling, or that precedes an average pooling, is computed
here as one convolution with a 4x4 kernel and stride 2: the same function of the same 3x3 weights,
with 16 instead of 36 multiplications for each value at the lower resolution.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2
"""Slope of LeakyReLU for negative values (section 3.2)."""


class LeakyReLU(nn.Module):
    """Apply LeakyReLU, whose second derivative is known to be 0.

    The gradient penalty differentiates a gradient. PyTorch's own LeakyReLU sends zeros back through
    the whole network when that is done, at the price of a backward pass; this one sends nothing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to itself."""
        activated: Tensor = _LeakyReLU.apply(x)
        return activated


class _LeakyReLU(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return F.leaky_relu(x, LEAK)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], _: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        back: Tensor = torch.ops.aten.leaky_relu_backward(gradient, x.detach(), LEAK, False)
        return back


class DownConvolution(nn.Conv2d):
    """Convolve with a 3x3 kernel, then average over 2x2 pixels; an odd last row is dropped."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, h // 2, w // 2)."""
        return F.conv2d(x, _widened(self.weight) / 4, self.bias, stride=2, padding=1)


class UpConvolution(nn.Conv2d):
    """Double the resolution by nearest upsampling, then convolve with a 3x3 kernel."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, 2 h, 2 w)."""
        kernel = _widened(self.weight).flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def _widened(kernel: Tensor) -> Tensor:
    """Sum a 3x3 kernel over the 2x2 pixels that share a value: (d, c, 3, 3) to (d, c, 4, 4)."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    rows = padded[:, :, :-1] + padded[:, :, 1:]
    return rows[..., :-1] + rows[..., 1:]


class GeneratorBlock(nn.Module):
    """Double the resolution in a pre-activated residual block with batch normalisation.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.BatchNorm2d(channels), LeakyReLU(), UpConvolution(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, 2 h, 2 w)."""
        larger = F.interpolate(x, scale_factor=2, mode="nearest")
        return torch.add(larger, self.change(x))


class CriticBlock(nn.Module):
    """Apply 3x3 convolutions in a pre-activated residual block without normalisation.

    Args:
        channels: channels of input and output.
        convolutions: number of convolutions in the block.
        down: whether the block ends with an average pooling over 2x2 pixels.
    """

    def __init__(self, channels: int, *, convolutions: int, down: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [LeakyReLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        if down:
            layers[-1] = DownConvolution(channels, channels)
        self.change = nn.Sequential(*layers)
        self.shortcut = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to itself, or to (n, c, h // 2, w // 2) if ``down``."""
        return torch.add(self.shortcut(x), self.change(x))
