"""OpenMax: the probability of an unknown class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Context, Info, InvalidParameter, Paper, State
from oodbench_posthoc.adapter import FittedLogitsAdapter
from oodbench_posthoc.checks import check_count

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


WEIBULL = ("c", "scale", "min_val")
"""What pytorch-ood learns of a class about the tail of its distances, besides its centre."""


class OpenMax(FittedLogitsAdapter):
    """Score by the probability of an unknown class, by extreme value theory.

    s(x) = softmax(v_0, ..., v_k)_0, v_y = f_y(x) (1 - a_y w_y), v_0 = sum_y f_y(x) a_y w_y, where
    f(x) are the logits of the k classes, w_y is the probability that a training image of class y is
    less far from the mean logits of the class than this image is, by a Weibull distribution of the
    largest distances, and a_y falls from 1 to 1/m over the m classes with the largest logits and
    is 0 for the others. Mean and distances are those of the training images of a class that are
    classified correctly (algorithms 1 and 2 of the paper); w_y is 0 where a class has none.

    Args:
        tail: number of the largest distances that the distribution of a class is fitted to; the
            paper takes 20.
        top_classes: m, the number of classes whose logits are revised.
        euclidean: weight of the Euclidean against the cosine distance, in [0, 1].

    Raises:
        InvalidParameter: if tail or top_classes is less than 1, or the weight outside of [0, 1].
    """

    original = "OpenMax"
    renamed: ClassVar = {"tailsize": "tail", "alpha": "top_classes", "euclid_weight": "euclidean"}
    info = Info(
        name="openmax",
        title="OpenMax",
        summary="High probability of an unknown class, by the distance from the mean logits",
        paper=Paper(
            title="Towards Open Set Deep Networks",
            authors="Bendale and Boult",
            venue="CVPR",
            year=2016,
            url="https://arxiv.org/abs/1511.06233",
        ),
        deviations=(
            "A class of which no training image is classified correctly is described by all of "
            "them.",
            "Distances to all classes count; in pytorch-ood those alone that are predicted for "
            "some image of the same batch.",
        ),
    )
    space: ClassVar = {
        "tail": (10, 20, 30, 40, 50),
        "top_classes": (1, 3, 5, 10, 15, 20),
        "euclidean": (0.0, 0.25, 0.5, 0.75, 1.0),
    }

    def __init__(self, *, tail: int = 20, top_classes: int = 10, euclidean: float = 1.0) -> None:
        check_count("tail", tail)
        check_count("top_classes", top_classes)
        if not 0 <= euclidean <= 1:
            raise InvalidParameter(f"euclidean must be at least 0 and at most 1, not {euclidean}")
        self.tail = tail
        self.top_classes = top_classes
        self.euclidean = euclidean

    def learn(self, original: Any, values: Tensor, labels: Tensor) -> None:
        """Fit on logits (n, k) and labels (n,) of images that are classified correctly."""
        import torch

        correct = values.argmax(dim=1) == labels
        recognised = torch.isin(labels, labels[correct])
        kept = correct | ~recognised
        super().learn(original, values[kept], labels[kept])

    def judge(self, original: Any, values: Tensor) -> Tensor:
        """Return the probability of the unknown class for logits (n, k): (n,) float64."""
        import numpy as np
        import torch

        logits = values.cpu().numpy()
        learned = original._openmax
        outlying = np.zeros_like(logits)  # stays 0 for classes without training images
        for number in learned.centers:
            outlying[:, number] = self._outlying(learned, number, logits)
        alpha = min(self.top_classes, logits.shape[1])
        # numpy's sort, from the end, ranks ties as pytorch-ood does
        order = np.argsort(logits, axis=1)[:, ::-1][:, :alpha]
        weights = np.zeros_like(logits)
        np.put_along_axis(weights, order, np.arange(alpha, 0, -1)[None] / alpha, axis=1)
        kept = 1 - outlying * weights
        unknown = (logits * (1 - kept)).sum(axis=1, keepdims=True)
        revised = np.concatenate([unknown, logits * kept], axis=1)
        return torch.from_numpy(revised).softmax(dim=1)[:, 0]

    @staticmethod
    def _outlying(learned: Any, number: int, logits: np.ndarray) -> np.ndarray:
        """Return how surely each of logits (n, k) is an outlier of a class: (n,) in [0, 1]."""
        import numpy as np

        distances = learned._get_dists_to_center(number, logits)
        with np.errstate(over="ignore"):  # exp(-x), x beyond the largest number, is 0 all the same
            found: np.ndarray = learned.distributions[number].w_score(distances)
        return found

    def state(self) -> State:
        """Return the "classes" (m,) that had images, "centers" (m, k), "tails" (m, 3) float64."""
        import numpy as np
        import torch

        learned = self.fitted_._openmax
        classes = sorted(learned.centers)
        tails = [[getattr(learned.distributions[y], name) for name in WEIBULL] for y in classes]
        centers = np.stack([learned.centers[y] for y in classes])
        return {
            "classes": torch.tensor(classes),
            "centers": torch.from_numpy(centers),
            "tails": torch.tensor(tails, dtype=torch.float64),
        }

    def restore(self, state: State, context: Context) -> Self:
        """Take back what `state` returned."""
        from pytorch_ood.detector.openmax.libnotmr import LibNotMR
        from pytorch_ood.detector.openmax.numpy import OpenMax as Learned

        tensors: dict[str, Any] = dict(state)
        learned = Learned(self.tail, self.top_classes, self.euclidean)
        classes, tails = (tensors[name].tolist() for name in ("classes", "tails"))
        for number, center, tail in zip(
            classes, tensors["centers"].cpu().numpy(), tails, strict=True
        ):
            distribution = LibNotMR(tailsize=self.tail)
            for name, value in zip(WEIBULL, tail, strict=True):
                setattr(distribution, name, value)
            learned.centers[number] = center
            learned.distributions[number] = distribution
        self.fitted_ = self.construct()
        self.fitted_._openmax = learned
        return self
