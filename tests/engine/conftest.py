"""Let Ray leave files and processes to the garbage collector, as its older versions do."""

from __future__ import annotations

import pytest

STARTING_RAY = {"test_cluster.py", "test_engines.py", "test_hostile.py", "test_ray.py"}
LEFT = "ignore::pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "engine" and item.path.name in STARTING_RAY:
            item.add_marker(pytest.mark.filterwarnings(LEFT))
