"""The outcomes of a plugin's checks, outside of a test run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import SkipTest

from oodbench.errors import describe
from oodbench.testing.checks import checks

if TYPE_CHECKING:
    from oodbench.testing.checks import Plugin


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Attributes:
        name: of the check, such as ``"scores_repeat"``.
        purpose: what is checked, such as ``"the object can be sent to another process"``.
        status: ``"passed"``, ``"failed"`` or ``"skipped"``.
        reason: one line that says why it failed or was skipped; empty if it passed.
    """

    name: str
    purpose: str
    status: str
    reason: str = ""


def outcomes(plugin: Plugin) -> Iterator[Outcome]:
    """Do every check that applies to a plugin, and yield what it says as soon as it is done.

    Args:
        plugin: as for `checks`.
    """
    for check in checks(plugin):
        status, reason = "passed", ""
        try:
            check()
        except SkipTest as skipped:
            status, reason = "skipped", str(skipped)
        except AssertionError as error:
            status, reason = "failed", " ".join(str(error).split()) or describe(error)
        except Exception as error:  # whatever a plugin raises is its fault, and reported as such
            status, reason = "failed", describe(error)
        yield Outcome(check.name, check.purpose, status, reason)
