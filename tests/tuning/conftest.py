"""Share the plugin whose detectors are tuned."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("tunable.py")


@pytest.fixture
def tunable(install) -> None:
    """Install the plugin, for this process and for those that it starts."""
    install("tunable", SOURCE.read_text(encoding="utf-8"))
