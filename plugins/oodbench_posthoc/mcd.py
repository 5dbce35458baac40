"""Monte Carlo dropout: how much the prediction depends on which neurons are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    InvalidParameter,
    Need,
    Paper,
    PluginError,
    State,
    Stream,
)
from oodbench_posthoc.checks import check_count

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


MODES = ("var", "mean")


class MonteCarloDropout(Detector):
    """Score by how much the softmax varies over networks that dropout makes of the classifier.

    s(x) = mean over y of var_i softmax(f_i(x))_y, or -max_y mean_i softmax(f_i(x))_y, where f_i(x)
    are the logits of network i: the classifier, of which a random choice of neurons is dropped, as
    it was in training (section 4 of the paper).

    It has no family, so that ``all-posthoc`` does not ask for it: most classifiers have no layer
    of dropout.

    Args:
        samples: number of networks, each of which every image passes.
        mode: ``"var"`` or ``"mean"``, the first and the second of the formulas.

    Raises:
        InvalidParameter: if there are fewer than 2 samples or the mode is unknown.
    """

    original = "MCD"
    needs = frozenset({Need.INPUTS, Need.CLASSIFIER})
    fit_needs = frozenset({Need.CLASSIFIER})
    stochastic = True
    info = Info(
        name="mcd",
        title="MC dropout",
        summary="Softmax that varies with dropped neurons; needs a classifier with dropout",
        paper=Paper(
            title="Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep "
            "Learning",
            authors="Gal and Ghahramani",
            venue="ICML",
            year=2016,
            url="http://proceedings.mlr.press/v48/gal16.pdf",
        ),
        deviations=(
            "The networks are drawn once and are the same for all images, so that a score depends "
            "on its image alone; pytorch-ood draws anew for each image.",
            "OpenOOD's method of this name is another, the discrepancy between two heads.",
        ),
    )
    space: ClassVar = {"mode": MODES}

    def __init__(self, *, samples: int = 30, mode: Literal["var", "mean"] = "var") -> None:
        check_count("samples", samples)
        if samples < 2:
            raise InvalidParameter(f"samples must be at least 2, not {samples}")
        if mode not in MODES:
            raise InvalidParameter(f"mode must be one of {', '.join(MODES)}, not {mode}")
        self.samples = samples
        self.mode = mode

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the classifier, and the seed to draw with."""
        return self.restore({"seed": context.seed}, context)

    def state(self) -> State:
        """Return the "seed" that networks are drawn with."""
        return {"seed": self._seed}

    def restore(self, state: State, context: Context) -> Self:
        """Take the classifier and the seed.

        Raises:
            PluginError: if it has no dropout.
        """
        self._seed = int(state["seed"])
        self._classifier: Any = context.classifier
        self._layers = _dropouts(context.classifier)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the variance, or the negative mean: (n,) float64."""
        import torch

        # as many draws as there are networks, and the same at each call
        generator = torch.Generator().manual_seed(self._seed)
        found = []
        for _ in range(self.samples):
            with _dropping(self._layers, generator):
                found.append(self._classifier(batch.inputs).double().softmax(dim=1))
        probabilities = torch.stack(found)
        if self.mode == "var":
            return probabilities.var(dim=0).mean(dim=1)
        return -probabilities.mean(dim=0).amax(dim=1)


def _dropouts(classifier: nn.Module) -> list[nn.Module]:
    """Return the layers of dropout of a classifier.

    Raises:
        PluginError: if it has none.
    """
    from torch import nn

    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    found: list[nn.Module] = [
        each for each in classifier.modules() if isinstance(each, kinds) and each.p > 0
    ]
    if not found:
        raise PluginError("needs a classifier with dropout, and this one has no dropout layer")
    return found


@contextmanager
def _dropping(layers: list[nn.Module], generator: torch.Generator) -> Iterator[None]:
    """Have layers of dropout drop the same neurons of all images within the block."""

    def drop(layer: Any, inputs: tuple[Tensor], _: Tensor) -> Tensor:
        import torch
        from torch import nn

        values = inputs[0]
        # Dropout2d and its like drop whole maps
        whole = not isinstance(layer, nn.Dropout)
        shape = (1, values.shape[1], *(1,) * (values.ndim - 2)) if whole else (1, *values.shape[1:])
        kept = torch.rand(shape, generator=generator) >= layer.p
        dropped: Tensor = values * (kept / (1 - layer.p)).to(values)
        return dropped

    with ExitStack() as stack:
        for layer in layers:
            handle = layer.register_forward_hook(drop)
            stack.callback(handle.remove)
        yield
