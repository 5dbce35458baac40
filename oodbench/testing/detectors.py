"""Checks of a detector, on the toy problem."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from unittest import SkipTest

import torch

from oodbench.contracts import SHORTCUT, Batch, Need, PluginError, Trainable, parameters
from oodbench.testing import common
from oodbench.testing.common import assert_stored, copy_of
from oodbench.testing.fitting import fit
from oodbench.testing.independence import (
    check_extremes,
    check_score_keeps_state,
    check_scores_are_independent,
)
from oodbench.testing.pretended_gpu import pretended_gpu
from oodbench.testing.reduction import check_reduction, check_reduction_keeps_layers, check_tokens
from oodbench.testing.subject import DetectorSubject, score

TOY_AUROC = 0.7
"""The AUROC that a detector must exceed on the toy problem; guessing gives 0.5 +- 0.04."""


def check_declarations(subject: DetectorSubject) -> None:
    """Check that `needs`, `stochastic`, `space`, `least_images` and `parts` have the right form."""
    detector = subject.detector
    for attribute, needs in (("needs", detector.needs), ("fit_needs", detector.fit_needs)):
        if attribute == "fit_needs" and needs is None:
            continue
        assert isinstance(needs, frozenset), f"{attribute} is not a frozenset: {needs!r}"
        others = [need for need in needs if not isinstance(need, Need)]
        assert not others, f"{attribute} holds {others}, which are not members of Need"
        alone = Need.LAYER_GRADIENTS in needs and Need.LAYERS not in needs
        assert not alone, f"{attribute} holds Need.LAYER_GRADIENTS without Need.LAYERS"
    assert Need.VALIDATION not in detector.needs, (
        "needs holds Need.VALIDATION; score has no validation images, name it in fit_needs"
    )
    assert isinstance(detector.stochastic, bool), f"stochastic is {detector.stochastic!r}"
    family = detector.family
    assert not family or common.NAME.fullmatch(family), (
        f"family is {family!r}, which is not a valid name"
    )
    subject.constructed.result()
    unknown = detector.space.keys() - parameters(detector).keys()
    assert not unknown, f"space names {sorted(unknown)}, which are not parameters"
    for name, values in detector.space.items():
        assert isinstance(values, tuple), f"space['{name}'] is not a tuple"
        assert values, f"space['{name}'] is empty"
        for value in values:
            assert_stored(type(detector)(**{name: value}), {name: value})
    least = detector.least_images()
    assert isinstance(least, int), f"least_images returns {least!r}, which is no whole number"
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
    remarks = fitted.trainable.remarks()
    assert all(isinstance(text, str) for text in remarks), f"remarks returned {remarks!r}"


def check_scores(subject: DetectorSubject) -> None:
    """Check that score works with what is declared: (n,) finite floating-point numbers."""
    subject.scores.run()


def check_scores_repeat(subject: DetectorSubject) -> None:
    """Check that scoring the same images again gives the same scores, whatever torch's seed."""
    subject.repeated.run()


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
    """Check that neither fit nor score modifies the tensors that it is given."""
    fitted = subject.fitted.result()
    needs, reducing = subject.detector.needs_to_fit(), copy_of(subject.detector)
    problem = subject.problem
    original = problem.train(needs, reducing=reducing)
    _assert_kept(fitted.train.whole, original.whole, "fit")
    if fitted.validation is not None:
        original = problem.validation(needs | subject.detector.needs, reducing=reducing)
        _assert_kept(fitted.validation.whole, original.whole, "fit")
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
    """Check that a new object restored from the state of a fitted one gives the same scores."""
    subject.restored.run()


def check_device(subject: DetectorSubject) -> None:
    """Check that on a GPU the detector computes there; without one, on a pretended GPU."""
    subject.scores.result()
    subject.restored.result()
    with nullcontext("cuda") if torch.cuda.is_available() else pretended_gpu() as device:
        fitted = fit(subject.detector, subject.problem, device=device)
        for detector in (fitted.trainable, fitted.restored()):
            scores = score(detector, fitted.batch(subject.images))
            assert scores.device.type == device, (
                f"a batch on the GPU gets scores on the {scores.device.type}"
            )
            assert bool(scores.isfinite().all()), "scores computed on the GPU are not finite"


def check_toy_shift(subject: DetectorSubject) -> None:
    """Check that noise gets larger scores than images of the training distribution.

    Shortcuts are excepted: the noise of the toy problem is about as bright as its ID images.
    """
    if subject.detector.family == SHORTCUT:
        raise SkipTest("a trivial statistic need not tell anything apart")
    scores = subject.scores.result().double()
    count = len(subject.problem.id_images)
    inside, outside = scores[:count], scores[count:]
    difference = outside[:, None] - inside[None, :]
    auroc = float((difference > 0).double().mean() + (difference == 0).double().mean() / 2)
    remarks = subject.fitted.result().trainable.remarks()
    assert auroc > TOY_AUROC, (
        f"AUROC on the toy problem is {auroc:.3f}, not above {TOY_AUROC}"
        + ("; is the sign wrong? Larger must mean more OOD" if auroc < 1 - TOY_AUROC else "")
        + "".join(f"; the detector remarks: {text}" for text in remarks)
    )


CHECKS: tuple[Callable[[DetectorSubject], None], ...] = (
    *common.CHECKS,
    check_declarations,
    check_unfitted,
    check_fit,
    check_scores,
    check_score_keeps_state,
    check_scores_repeat,
    check_seed,
    check_inputs_are_kept,
    check_state,
    check_scores_are_independent,
    check_extremes,
    check_reduction,
    check_reduction_keeps_layers,
    check_tokens,
    check_device,
    check_toy_shift,
)
