"""Gram: Gram matrices outside the range of the predicted class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from oodbench.contracts import Context, Info, Paper, State, Stream
from oodbench_posthoc.adapter import check_classes
from oodbench_posthoc.layers import LayersAdapter, Loader
from oodbench_posthoc.memory import check_memory

if TYPE_CHECKING:
    from torch import Tensor


BOUNDS = ("feature_min", "feature_max")


class GramMatrices(LayersAdapter):
    """Score by how far correlations of maps are outside the range of the predicted class.

    s(x) = sum_l d_l(x) / E[d_l], where d_l sums, over powers p and over the rows of the Gram matrix
    of the maps of layer l to the power p, by how much of its bound a row sum is outside of the
    range that it has among training images of the class, and E[d_l] is the mean of d_l over a
    tenth of the training images that is held out.
    """

    original = "Gram"
    stochastic = True
    info = Info(
        name="gram",
        title="Gram",
        summary="Gram matrices of maps outside their range for the predicted class",
        paper=Paper(
            title="Detecting Out-of-Distribution Examples with Gram Matrices",
            authors="Sastry and Oore",
            venue="ICML",
            year=2020,
            url="https://arxiv.org/abs/1912.12510",
        ),
        deviations=(
            "One layer at each size of the maps, and as many powers as there are layers "
            "(pytorch-ood's default).",
            "The deviations to expect are those of a tenth of the training images (pytorch-ood).",
        ),
    )

    def arguments(self, names: Iterable[str], context: Context | None) -> dict[str, Any]:
        """Return the arguments of pytorch-ood's constructor, which counts layers and classes."""
        assert context is not None
        return {
            "head": self.layers.classifier.head,
            "feature_layers": self.layers.modules,
            "num_classes": context.num_classes,
        }

    def construct(self, context: Context | None = None) -> Any:
        """Return a new detector of pytorch-ood that reads all layers in one pass."""
        original = super().construct(context)
        original._create_feature_list = self._outputs
        original._gram_vector = row_sums
        return original

    def _outputs(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps, logits = self.layers(images)
        return logits, maps

    def fit(self, train: Stream, context: Context) -> Self:
        """Learn the ranges.

        Raises:
            PluginError: if a class has no training images; if there is too little memory.
        """
        import torch

        check_classes(torch.cat([batch.labels for batch in train]), train.num_classes)
        self.fitted_ = self.construct(context)
        self._check_memory(train, context)
        self.fitted_.fit(Loader(train))
        return self

    def _check_memory(self, train: Stream, context: Context) -> None:
        """Raise an error if two float32 of each image, map and power do not fit into memory."""
        import torch

        maps, _ = self.layers(torch.zeros(1, *context.shape, device=context.device))
        numbers = sum(each.shape[1] for each in maps) * len(maps)
        check_memory(2 * 4 * len(train) * numbers, len(train), torch.device("cpu"))

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Score images (n, c, h, w)."""
        scores: Tensor = original.predict(values)
        return scores

    def state(self) -> State:
        """Return the bounds (k, c) of each layer and power, and the "layer_norm" (l,)."""
        bounds = {
            f"{name}-{layer}-{power}": value
            for name in BOUNDS
            for layer, row in enumerate(getattr(self.fitted_, name))
            for power, value in enumerate(row)
        }
        return {**bounds, "layer_norm": self.fitted_.layer_norm}

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        self.fitted_ = self.construct(context)
        count = range(len(self.layers))
        for name in BOUNDS:
            rows = [[state[f"{name}-{layer}-{power}"] for power in count] for layer in count]
            setattr(self.fitted_, name, rows)
        self.fitted_.layer_norm = state["layer_norm"]
        return self


def row_sums(maps: Tensor, power: int) -> Tensor:
    """Return the sums of the rows of a Gram matrix, as pytorch-ood does, but without the matrix.

    Args:
        maps: F, (n, c, h, w).
        power: p.

    Returns:
        The p-th root of the size of each sum of a row of F^p F^p', with its sign: (n, c).
    """
    flat = raised = maps.flatten(2)
    for _ in range(power - 1):
        raised = raised * flat
    sums = (raised * raised.sum(dim=1, keepdim=True)).sum(dim=2)
    return sums.sign() * sums.abs() ** (1 / power)
