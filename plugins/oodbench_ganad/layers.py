"""The blocks of the generator and the critic.

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
    """LeakyReLU, whose second derivative is known to be 0.

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
        ctx.set_materialize_grads(False)  # else nothing that arrives becomes zeros after all

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        (x,) = ctx.saved_tensors
        back: Tensor = torch.ops.aten.leaky_relu_backward(gradient, x.detach(), LEAK, False)
        return back


class Convolution(nn.Conv2d):
    """Convolution whose input gradient is cheap to differentiate.

    The gradient penalty needs that. PyTorch's own convolution sends zeros back through the whole
    network then, and finds the weights' gradients by a convolution with kernels as large as images.
    This one does not, but has no gradients in the weights that could be differentiated again.

    Args:
        channels_in: c.
        channels_out: d.
        size: of the square kernel.
        stride: in both directions.
    """

    def __init__(self, channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, size, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, h', w')."""
        return _convolve(x, self.weight, self.bias, self.stride[0])


class AveragePool(nn.Module):
    """Average pooling over 2x2 pixels, whose second derivative is known to be 0 as well."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, h // 2, w // 2)."""
        averaged: Tensor = _AveragePool.apply(x)
        return averaged


class _AveragePool(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], _: Tensor) -> None:
        ctx.odd = [size % 2 for size in inputs[0].shape[-2:]]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        rows, columns = ctx.odd
        spread = F.interpolate(gradient / 4, scale_factor=2, mode="nearest")
        return F.pad(spread, (0, columns, 0, rows)) if rows or columns else spread


class DownConvolution(Convolution):
    """3x3 convolution, then average pooling over 2x2 pixels; an odd last row is dropped."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, h // 2, w // 2)."""
        return _convolve(x, widened(self.weight) / 4, self.bias, 2)


def _convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolve (n, c, h, w) with a kernel (d, c, k, k), padded by 1, in the dtype of autocast."""
    assert bias is not None
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, kernel, bias = x.to(dtype), kernel.to(dtype), bias.to(dtype)
    convolved: Tensor = _Convolution.apply(x, kernel, bias, stride)
    return convolved


class _Convolution(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, bias: Tensor, stride: int) -> Tensor:
        return F.conv2d(x, kernel, bias, stride, padding=1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], _: Tensor) -> None:
        x, kernel, _, ctx.stride = inputs
        ctx.save_for_backward(x, kernel)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> Any:
        if gradient is None:
            return None, None, None, None
        x, kernel = ctx.saved_tensors
        stride, size = ctx.stride, kernel.shape[-1]
        of_input = of_kernel = of_bias = None
        if ctx.needs_input_grad[0]:
            rows, columns = (
                full - ((reduced - 1) * stride - 2 + size)
                for full, reduced in zip(x.shape[-2:], gradient.shape[-2:], strict=True)
            )
            of_input = F.conv_transpose2d(
                gradient, kernel, stride=stride, padding=1, output_padding=(rows, columns)
            )
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            _, of_kernel, of_bias = torch.ops.aten.convolution_backward(
                gradient,
                x,
                kernel,
                [kernel.shape[0]],
                [stride, stride],
                [1, 1],
                [1, 1],
                False,
                [0, 0],
                1,
                [False, True, True],
            )
        return of_input, of_kernel, of_bias, None


class UpConvolution(nn.Conv2d):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, 2 h, 2 w)."""
        kernel = widened(self.weight).flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def widened(kernel: Tensor) -> Tensor:
    """Sum a 3x3 kernel over the 2x2 pixels that share a value: (d, c, 3, 3) to (d, c, 4, 4)."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    rows = padded[:, :, :-1] + padded[:, :, 1:]
    return rows[..., :-1] + rows[..., 1:]


class GeneratorBlock(nn.Module):
    """Pre-activation residual block that doubles the resolution, with batch normalisation.

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
    """Pre-activation residual block of 3x3 convolutions, without normalisation.

    Args:
        channels: channels of input and output.
        convolutions: number of convolutions in the block.
        down: whether the block ends with an average pooling over 2x2 pixels.
    """

    def __init__(self, channels: int, *, convolutions: int, down: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [LeakyReLU(), Convolution(channels, channels)]
        if down:
            layers[-1] = DownConvolution(channels, channels)
        self.change = nn.Sequential(*layers)
        self.shortcut = AveragePool() if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to itself, or to (n, c, h // 2, w // 2) if ``down``."""
        return torch.add(self.shortcut(x), self.change(x))


def halvings(size: int, limit: int) -> int:
    """Count how often ``size`` is halved, rounding down, until it is at most ``limit``."""
    count = 0
    while size > limit:
        size //= 2
        count += 1
    return count
