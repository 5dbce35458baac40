"""The package offers its few names, and imports what is slow when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import oodbench


@pytest.mark.parametrize("name", oodbench.__all__)
def test_every_name_that_is_offered_is_there(name: str) -> None:
    assert getattr(oodbench, name).__name__ == name


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'oodbench' has no attribute 'runs'"):
        _ = oodbench.runs


def test_importing_the_package_imports_nothing_slow() -> None:
    program = "import sys, oodbench; print({'torch', 'pandas', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n"
