"""Heads of classifiers, as shapings change them. Importing it imports torch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from oodbench.contracts import PluginError


class ScaledHead(nn.Module):
    """A head whose logits are multiplied by a factor of the features.

    Args:
        head: maps features (n, d) to logits (n, k).
        factor: maps features (n, d) to factors (n, 1).
    """

    def __init__(self, head: nn.Module, factor: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._head = head
        self._factor = factor

    def forward(self, features: Tensor) -> Tensor:
        """Map features (n, d) to scaled logits (n, k)."""
        logits: Tensor = self._head(features) * self._factor(features)
        return logits


def linear(head: nn.Module) -> nn.Linear:
    """Return a head, which must be linear.

    Raises:
        PluginError: if it is not.
    """
    if not isinstance(head, nn.Linear):
        raise PluginError(f"needs a linear head, got a {type(head).__name__}")
    return head


def with_weight(head: nn.Linear, weight: Tensor) -> nn.Linear:
    """Return a linear head with another weight (k, d) and the same bias."""
    changed = nn.Linear(head.in_features, head.out_features, bias=False, device="meta")
    changed.weight = nn.Parameter(weight, requires_grad=False)
    changed.bias = head.bias
    return changed
