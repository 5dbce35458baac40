"""Checks of a detector, on the toy problem."""

from __future__ import annotations

from collections.abc import Callable
from unittest import SkipTest

import torch
from torch import Tensor

from oodbench.contracts import SHORTCUT, Batch, Detector, Need, PluginError, Trainable, parameters
from oodbench.testing import common
from oodbench.testing.common import Step, Subject, assert_stored, copy_of
from oodbench.testing.fitting import Fitted, fit
from oodbench.testing.toy import take, toy_problem

TOY_AUROC = 0.7
"""What a detector must exceed on the toy problem; guessing gives 0.5, give or take 0.04."""


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
        self.repeated = Step("scoring the same images again", self._score_again)

    def _fit(self) -> Fitted[Detector]:
        self.constructed.result()
        return fit(self.detector, self.problem)

    def _score(self) -> Tensor:
        fitted = self.fitted.result()
        scores = score(fitted.trainable, fitted.batch(self.images))
        assert isinstance(scores, Tensor), f"score returned a {type(scores).__name__}, not a Tensor"
        expected = (len(self.images),)
        assert scores.shape == expected, f"scores have shape {tuple(scores.shape)}, not {expected}"
        assert scores.is_floating_point(), f"scores are {scores.dtype}, not floating point"
        bad = int((~scores.isfinite()).sum())
        assert bad == 0, f"{bad} of {len(scores)} scores are NaN or infinite"
        return scores

    def _score_again(self) -> Tensor:
        scores = self.scores.result()
        fitted = self.fitted.result()
        again = score(fitted.trainable, fitted.batch(self.images), seed=1)
        assert torch.equal(scores, again), (
            "the same images scored twice get different scores; draw random numbers in fit only"
        )
        return scores


def score(detector: Detector, batch: Batch, *, seed: int = 0) -> Tensor:
    """Return the scores of a batch, without gradients, as the harness does.

    Args:
        detector: fitted.
        batch: images to score.
        seed: torch's global generators are seeded with it; scores should not depend on that.
    """
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        return detector.score(batch)


def check_declarations(subject: DetectorSubject) -> None:
    """Check that `needs`, `stochastic`, `space` and `parts` are of the form that is promised."""
    detector = subject.detector
    for attribute, needs in (("needs", detector.needs), ("fit_needs", detector.fit_needs)):
        if attribute == "fit_needs" and needs is None:
            continue
        assert isinstance(needs, frozenset), f"{attribute} is not a frozenset: {needs!r}"
        strangers = [need for need in needs if not isinstance(need, Need)]
        assert not strangers, f"{attribute} holds {strangers}, which are not members of Need"
    assert isinstance(detector.stochastic, bool), f"stochastic is {detector.stochastic!r}"
    family = detector.family
    assert not family or common.NAME.fullmatch(family), f"family is {family!r}, which is no name"
    subject.constructed.result()
    unknown = detector.space.keys() - parameters(detector).keys()
    assert not unknown, f"space names {sorted(unknown)}, which are not parameters"
    for name, values in detector.space.items():
        assert isinstance(values, tuple), f"space['{name}'] is not a tuple"
        assert values, f"space['{name}'] is empty"
        for value in values:
            assert_stored(type(detector)(**{name: value}), {name: value})
    for name, part in detector.parts().items():
        assert isinstance(part, Trainable), f"part '{name}' is not a Trainable: {part!r}"


def check_unfitted(subject: DetectorSubject) -> None:
    """Check that a detector that learns does not score before it has learned.

    It may raise `PluginError`, or just read an attribute that ``fit`` would have set.
    """
    fitted = subject.fitted.result()
    unfitted = copy_of(subject.detector)
    if not unfitted.learns():
        raise SkipTest("the detector learns nothing")
    error = _error_of(lambda: score(unfitted, fitted.batch(subject.images)))
    assert error is not None, "score returns scores before fit was called"
    clear = isinstance(error, PluginError) or getattr(error, "obj", None) is unfitted
    assert clear, f"scoring before fit raises an unclear error: {error!r}"


def _error_of(action: Callable[[], object]) -> Exception | None:
    try:
        action()
    except Exception as error:  # what a plugin raises is what is looked at
        return error
    return None


def check_fit(subject: DetectorSubject) -> None:
    """Check that fit works with what is declared, returns self and leaves parameters alone."""
    fitted = subject.fitted.run()
    assert fitted.returned is fitted.trainable, f"fit returned {fitted.returned!r}, not self"
    before, after = parameters(subject.detector), parameters(fitted.trainable)
    changed = [name for name in before if after[name] is not before[name]]
    assert not changed, f"fit changes the parameters {changed}; use names that end in '_'"


def check_scores(subject: DetectorSubject) -> None:
    """Check that score works with what is declared: (n,) finite floating-point numbers."""
    subject.scores.run()


def check_scores_repeat(subject: DetectorSubject) -> None:
    """Check that scoring the same images again gives the same scores, whatever torch's seed."""
    subject.repeated.run()


def check_scores_are_independent(subject: DetectorSubject) -> None:
    """Check that a score depends neither on the other images of the batch nor on their order."""
    scores = subject.repeated.result()
    fitted = subject.fitted.result()
    whole = fitted.batch(subject.images)
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    for size, count in ((len(scores), len(scores)), (7, len(scores)), (1, 20)):
        parts = [
            score(fitted.trainable, take(whole, positions))
            for positions in torch.split(order[:count], size)
        ]
        _assert_same(torch.cat(parts), scores[order[:count]], f"in shuffled batches of {size}")


def _assert_same(actual: Tensor, expected: Tensor, when: str) -> None:
    """Compare scores up to float32 rounding, which changes with the size of a batch."""
    spread = float(expected.double().std()) if len(expected) > 1 else 0.0
    tolerance = 1e-3 * spread + 1e-5 * float(expected.double().abs().max())
    worst = float((actual.double() - expected.double()).abs().max())
    assert worst <= tolerance, f"{when}, scores differ by {worst:.3g} (tolerance {tolerance:.3g})"


def check_seed(subject: DetectorSubject) -> None:
    """Check that the seed alone decides what fit draws, and that drawing is declared.

    A stochastic detector must give the same scores for the same seed, and one that does not
    declare itself ``stochastic`` the same scores for every seed; bit for bit, on the CPU.
    """
    scores = subject.repeated.result()
    stochastic = subject.detector.stochastic
    other = fit(subject.detector, subject.problem, seed=0 if stochastic else 1)
    again = score(other.trainable, other.batch(subject.images))
    assert torch.equal(scores, again), (
        "two fits with one seed give different scores; draw from context.generator()"
        if stochastic
        else "two fits with different seeds give different scores, but stochastic is False"
    )


def check_inputs_are_kept(subject: DetectorSubject) -> None:
    """Check that neither fit nor score writes into the tensors that they are given."""
    fitted = subject.fitted.result()
    needs = subject.detector.needs_to_fit()
    _assert_kept(fitted.train.whole, subject.problem.train(needs).whole, "fit")
    subject.scores.result()
    batch = fitted.batch(subject.images)
    score(fitted.trainable, batch)
    _assert_kept(batch, fitted.batch(subject.images), "score")


def _assert_kept(batch: Batch, original: Batch, method: str) -> None:
    for name, value in vars(original).items():
        if value is not None:
            kept = torch.equal(getattr(batch, name), value)
            assert kept, f"{method} writes into batch.{name.removeprefix('_')}"


def check_state(subject: DetectorSubject) -> None:
    """Check that a new object that is given the state of a fitted one gives the same scores."""
    scores = subject.repeated.result()
    fitted = subject.fitted.result()
    restored = fitted.restored()
    try:
        again = score(restored, fitted.batch(subject.images))
    except Exception as error:
        raise AssertionError(
            f"restore() does not bring back all that fit learned: {error!r}"
        ) from error
    _assert_same(again, scores, "after state() and restore()")


def check_device(subject: DetectorSubject) -> None:
    """Check that on a GPU the detector computes there; skipped where there is none."""
    if not torch.cuda.is_available():
        raise SkipTest("there is no GPU")
    subject.scores.result()
    fitted = fit(subject.detector, subject.problem, device="cuda")
    for detector in (fitted.trainable, fitted.restored()):
        scores = score(detector, fitted.batch(subject.images))
        assert scores.device.type == "cuda", f"a batch on the GPU gets scores on {scores.device}"
        assert bool(scores.isfinite().all()), "scores computed on the GPU are not finite"


def check_toy_shift(subject: DetectorSubject) -> None:
    """Check that noise gets larger scores than images of the training distribution.

    Shortcuts are excepted: the noise of the toy problem is about as bright as its ID images.
    """
    if subject.detector.family == SHORTCUT:
        raise SkipTest("a trivial statistic does not have to tell anything")
    scores = subject.scores.result().double()
    count = len(subject.problem.id_images)
    inside, outside = scores[:count], scores[count:]
    difference = outside[:, None] - inside[None, :]
    auroc = float((difference > 0).double().mean() + (difference == 0).double().mean() / 2)
    assert auroc > TOY_AUROC, f"AUROC on the toy problem is {auroc:.3f}, not above {TOY_AUROC}" + (
        "; is the sign wrong? Larger must mean more OOD" if auroc < 1 - TOY_AUROC else ""
    )


CHECKS: tuple[Callable[[DetectorSubject], None], ...] = (
    *common.CHECKS,
    check_declarations,
    check_unfitted,
    check_fit,
    check_scores,
    check_scores_repeat,
    check_scores_are_independent,
    check_seed,
    check_inputs_are_kept,
    check_state,
    check_device,
    check_toy_shift,
)
