"""Checks of parameter values."""

from __future__ import annotations

from oodbench.contracts import InvalidParameter


def check_positive(name: str, value: float) -> None:
    """Raise an error unless a value is a finite number greater than 0.

    Raises:
        InvalidParameter: naming the parameter.
    """
    if not 0 < value < float("inf"):
        raise InvalidParameter(f"{name} must be a number greater than 0, not {value}")


def check_count(name: str, value: int) -> None:
    """Raise an error unless a value is a whole number of at least 1.

    Raises:
        InvalidParameter: naming the parameter.
    """
    if value != int(value) or value < 1:
        raise InvalidParameter(f"{name} must be a whole number of at least 1, not {value}")


def check_fraction(name: str, value: float) -> None:
    """Raise an error unless a value is a number from 0 to less than 1.

    Raises:
        InvalidParameter: naming the parameter.
    """
    if not 0 <= value < 1:
        raise InvalidParameter(f"{name} must be at least 0 and less than 1, not {value}")


def check_share(name: str, value: float) -> None:
    """Raise an error unless a value is a number between 0 and 1.

    Raises:
        InvalidParameter: naming the parameter.
    """
    if not 0 < value < 1:
        raise InvalidParameter(f"{name} must be greater than 0 and less than 1, not {value}")
