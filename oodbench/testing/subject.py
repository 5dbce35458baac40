"""Share what several checks of a detector build on: it is fitted, and scores, once."""

from __future__ import annotations

import torch
from torch import Tensor

from oodbench.contracts import Batch, Detector
from oodbench.testing.common import Step, Subject, copy_of
from oodbench.testing.fitting import Fitted, fit
from oodbench.testing.snapshot import difference, snapshot
from oodbench.testing.toy import toy_problem


class DetectorSubject(Subject):
    """A detector under test, with what several checks share.

    Args:
        detector: a detector with the parameters to test it with; it is never fitted itself.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self.detector = detector
        self.problem = toy_problem()
        self.images = torch.cat([self.problem.id_images, self.problem.ood_images])
        self.fitted = Step("fit", self._fit)
        self.scores = Step("score", self._score)
        self.unchanged = Step("scoring without a change of state", self._score_unchanged)
        self.repeated = Step("scoring the same images again", self._score_again)
        self.restored = Step("scoring by a new object with the same state", self._score_restored)

    def _fit(self) -> Fitted[Detector]:
        self.constructed.result()
        return fit(self.detector, self.problem)

    def _score(self) -> Tensor:
        fitted = self.fitted.result()
        before = snapshot(fitted.trainable)
        scores = score(fitted.trainable, fitted.batch(self.images))
        self._changed = difference(before, snapshot(fitted.trainable))
        assert isinstance(scores, Tensor), f"score returned a {type(scores).__name__}, not a Tensor"
        expected = (len(self.images),)
        assert scores.shape == expected, f"scores have shape {tuple(scores.shape)}, not {expected}"
        assert scores.is_floating_point(), f"scores are {scores.dtype}, not floating point"
        bad = int((~scores.isfinite()).sum())
        assert bad == 0, f"{bad} of {len(scores)} scores are NaN or infinite"
        return scores

    def _score_unchanged(self) -> Tensor:
        scores = self.scores.result()
        assert not self._changed, (
            f"score() changes {self._changed}, so that a score may depend on images that were "
            "scored before; learn in fit() alone"
        )
        return scores

    def _score_again(self) -> Tensor:
        scores = self.unchanged.result()
        fitted = self.fitted.result()
        again = score(fitted.trainable, fitted.batch(self.images), seed=1)
        assert torch.equal(scores, again), (
            "the same images scored twice get different scores; draw random numbers in fit only"
        )
        return scores

    def _score_restored(self) -> Tensor:
        scores = self.repeated.result()
        fitted = self.fitted.result()
        new = self.new()
        try:
            again = score(new, fitted.batch(self.images))
        except Exception as error:
            raise AssertionError(
                f"restore() does not restore all that fit learned: {error!r}"
            ) from error
        assert_same(again, scores, scores, "after state() and restore()")
        return scores

    def new(self) -> Detector:
        """Return a new object that scored nothing yet, and knows what the fitted one learned."""
        fitted = self.fitted.result()
        return fitted.restored() if self.detector.learns() else copy_of(self.detector)


def score(detector: Detector, batch: Batch, *, seed: int = 0) -> Tensor:
    """Return the scores of a batch, without gradients, as the harness does.

    Args:
        detector: fitted.
        batch: images to score.
        seed: torch's global generators are seeded with it; scores should not depend on that.
    """
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        scores = detector.score(batch)
        # a copy, since a detector may fill the same tensor again
        return scores.clone() if isinstance(scores, Tensor) else scores


def assert_same(actual: Tensor, expected: Tensor, scale: Tensor, when: str) -> None:
    """Compare scores up to float32 rounding, which changes with the size of a batch.

    Args:
        actual: (n,) scores.
        expected: (n,) those of the same images.
        scale: scores that say how far apart scores are.
        when: begins the message.
    """
    spread = float(scale.double().std())
    tolerance = 1e-3 * spread + 1e-5 * float(scale.double().abs().max())
    worst = float((actual.double() - expected.double()).abs().max())
    assert worst <= tolerance, f"{when}: scores differ by {worst:.3g} (tolerance {tolerance:.3g})"
