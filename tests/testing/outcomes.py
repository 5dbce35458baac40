"""Run the kit on a plugin and look at what its checks say."""

from unittest import SkipTest

from oodbench.testing import checks


def outcomes(plugin):
    """Return "passed", "skipped" or the error message, by the name of the check."""
    return {check.name: _outcome(check) for check in checks(plugin)}


def _outcome(check):
    try:
        check()
    except SkipTest:
        return "skipped"
    except Exception as error:
        return f"failed: {error}"
    return "passed"


def failures(plugin):
    """Return the error messages, by the name of the check that failed."""
    return {name: text for name, text in outcomes(plugin).items() if text.startswith("failed")}
