"""RankFeat: the energy without the dominant part of the last maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.contracts import Batch, Detector, Info, Layers, Need, Paper

if TYPE_CHECKING:
    from torch import Tensor


class RankFeature(Detector):
    """Score by the energy after the dominant part of the last maps is removed (RankFeat).

    s(x) = -log sum_y exp((f(x; 4) + f(x; 3))_y / 2), where f(x; l) are the logits that follow where
    the maps X of layer l, a matrix of channels by places, are replaced by X - s_1 u_1 v_1' with the
    largest singular value s_1 of X and its vectors u_1 and v_1 (section 3 of the paper). Layers 4
    and 3 are the last two; a network with one has that alone. Of a transformer, tokens are places.

    What precedes a layer is not computed again, where the network allows that.
    """

    family = "posthoc"
    original = "RankFeat"
    needs = frozenset({Need.LAYERS})
    info = Info(
        name="rankfeat",
        title="RankFeat",
        summary="High free energy of the logits without the first singular vectors of the maps",
        paper=Paper(
            title="RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection",
            authors="Song et al.",
            venue="NeurIPS",
            year=2022,
            url="https://arxiv.org/abs/2209.08590",
        ),
        deviations=(
            "Of networks that normalise and activate the last maps after the last block, as "
            "pre-activation networks do, the activated maps are changed.",
        ),
    )

    def reduce(self, layers: Layers) -> Tensor:
        """Return the score: (n, 1) float64."""
        import torch

        changed = [
            layers.resume(name, without_dominant(layers.outputs[name])).double()
            for name in list(layers.outputs)[-2:]
        ]
        return -torch.stack(changed).mean(dim=0).logsumexp(dim=1, keepdim=True)

    def score(self, batch: Batch) -> Tensor:
        """Return the negative energy of the fused logits: (n,) float64."""
        return batch.reduced[:, 0]


def without_dominant(output: Tensor) -> Tensor:
    """Return maps (n, c, h, w) or tokens (n, t, d) without the largest singular value's part.

    The singular vectors are found as eigenvectors of the smaller of X X' and X' X, in float64: that
    is as exact as a decomposition of X in float32 and takes less time.
    """
    import torch

    matrix = output.flatten(2).double()
    if matrix.shape[1] > matrix.shape[2]:
        matrix = matrix.mT
    vector = torch.linalg.eigh(matrix @ matrix.mT).eigenvectors[:, :, -1:]
    rest = matrix - vector @ (vector.mT @ matrix)
    if output.shape[1] > output[0, 0].numel():
        rest = rest.mT
    found: Tensor = rest.to(output.dtype).reshape(output.shape)
    return found
