"""Let Ray leave files and processes to the garbage collector, as its older versions do."""

from __future__ import annotations

from pathlib import Path

import pytest

LEFT = "ignore::pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(LEFT))
