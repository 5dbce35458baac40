"""Gradients in images are taken a few images at a time."""

from __future__ import annotations

import torch

from oodbench_posthoc.perturbed import AT_ONCE, gradients_in


def test_gradients_are_those_of_all_images_at_once() -> None:
    images = torch.rand(2 * AT_ONCE + 3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    seen = []

    def figure(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return (part**3).sum((1, 2, 3))

    assert torch.allclose(gradients_in(images, figure), 3 * images**2)
    assert seen == [AT_ONCE, AT_ONCE, 3]
