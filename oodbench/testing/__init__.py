"""Checks of plugins against the contract, for the tests of plugin authors."""

from oodbench.testing.checks import Check, checks, parametrize_with_checks
from oodbench.testing.fitting import Fitted, fit
from oodbench.testing.outcomes import Outcome, outcomes
from oodbench.testing.toy import TensorStream, ToyClassifier, ToyProblem, toy_problem

__all__ = [
    "Check",
    "Fitted",
    "Outcome",
    "TensorStream",
    "ToyClassifier",
    "ToyProblem",
    "checks",
    "fit",
    "outcomes",
    "parametrize_with_checks",
    "toy_problem",
]
