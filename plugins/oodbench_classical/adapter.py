"""Adapters from outlier detectors of scikit-learn to detectors of oodbench."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, InvalidParameter, Need, State, Stream

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


RANDOM_STATE = 0
"""Seeds scikit-learn, and the choice of images: whatever the seed, the results are the same."""


class Classical(Detector):
    """An outlier detector of scikit-learn.

    It is fitted on the features of some training images. These are what is kept, for what
    scikit-learn makes of them would have to be pickled: it is fitted on them again where images
    are scored, always with the same result.

    A subclass has a parameter ``sample``: the training images at most, chosen at random.
    """

    family = "classical"
    needs = frozenset({Need.FEATURES})
    sample: int

    @abstractmethod
    def estimator(self) -> Any:
        """Return a new estimator of scikit-learn, with a random state of `RANDOM_STATE`."""

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit the estimator on the features of some training images."""
        self.features_ = self._sampled(train)
        self.fitted_ = self._estimated(self.features_)
        return self

    def _sampled(self, train: Stream) -> Tensor:
        """Return the features of ``sample`` images at random, or of all if there are fewer: (m, d).

        Those of the others are not kept: of ImageNet's training images they would be 10 GB.
        """
        import torch

        chosen = torch.arange(len(train))
        if len(train) > self.sample:
            generator = torch.Generator().manual_seed(RANDOM_STATE)
            chosen = torch.randperm(len(train), generator=generator)[: self.sample]
        wanted = torch.zeros(len(train), dtype=torch.bool)
        wanted[chosen] = True
        rows: list[Tensor] = []
        done = 0
        for batch in train:
            features = self.read(batch)
            rows.append(features[wanted[done : done + len(batch)].to(features.device)])
            done += len(batch)
        found = torch.cat(rows)
        return found[chosen.argsort().argsort().to(found.device)]

    def _estimated(self, features: Tensor) -> Any:
        """Return a new estimator, fitted on features (m, d)."""
        with warnings.catch_warnings():
            # such as that features are linearly dependent, which is no fault and not unusual
            warnings.simplefilter("ignore", UserWarning)
            return self.estimator().fit(_array(features))

    def score(self, batch: Batch) -> Tensor:
        """Return the outlier score of the features: (n,) float64."""
        import torch

        features = self.read(batch)
        scores = self.judge(self.fitted_, _array(features))
        return torch.from_numpy(scores).double().to(features.device)

    def read(self, batch: Batch) -> Tensor:
        """Return the features that images are judged by: (n, d) float32."""
        return batch.features

    def without_classifier(self) -> Detector | None:
        """Return the same detector on pixels."""
        from oodbench_classical.pixels import on_pixels

        return on_pixels(self)

    def judge(self, estimator: Any, features: np.ndarray) -> np.ndarray:
        """Return how much features (n, d) float64 are outliers: (n,); larger means more so."""
        scores: np.ndarray = -estimator.score_samples(features)
        return scores

    def state(self) -> State:
        """Return the features that the estimator is fitted on, as "features": (m, d) float32."""
        return {"features": self.features_}

    def restore(self, state: State, context: Context) -> Self:
        """Fit the estimator again on the features that `state` returned."""
        import torch

        features = state["features"]
        assert isinstance(features, torch.Tensor)
        self.features_ = features.to(context.device)
        self.fitted_ = self._estimated(features)
        return self


class Parametric(Classical):
    """An outlier detector of scikit-learn that is described by a few arrays, which are kept.

    Attributes:
        learned: the names of scikit-learn's attributes that scoring reads, all of them arrays.
    """

    learned: ClassVar[tuple[str, ...]]

    def fit(self, train: Stream, context: Context) -> Self:
        """Fit the estimator on the features of some training images."""
        super().fit(train, context)
        del self.features_
        return self

    def state(self) -> State:
        """Return the arrays that were learned, by the names of scikit-learn's attributes."""
        import torch

        return {name: torch.tensor(getattr(self.fitted_, name)) for name in self.learned}

    def restore(self, state: State, context: Context) -> Self:
        """Make an estimator with the arrays that `state` returned."""
        self.fitted_ = self.estimator()
        for name in self.learned:
            value: Any = state[name]
            setattr(self.fitted_, name, value.cpu().numpy())
        return self


def _array(features: Tensor) -> np.ndarray:
    """Return features (n, d) as scikit-learn takes them: float64, on the CPU."""
    found: np.ndarray = features.double().cpu().numpy()
    return found


def check_count(name: str, value: int) -> None:
    """Raise an error unless a value is a whole number of at least 1.

    Raises:
        InvalidParameter: naming the parameter.
    """
    if value != int(value) or value < 1:
        raise InvalidParameter(f"{name} must be a whole number of at least 1, not {value}")
