"""Read benchmark definitions, TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path

from oodbench.contracts import Benchmark
from oodbench.errors import UserError


def load_benchmark(path: Path) -> Benchmark:
    """Read a benchmark definition; its keys are the fields of `Benchmark`.

    Raises:
        UserError: if the file cannot be read, is malformed (the message has line and column), or
            has unknown, missing or ill-typed keys.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: malformed TOML: {error}") from error
    try:
        benchmark = TypeAdapter(Benchmark).validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise UserError(f"{path}: key '{key}': {problem['msg']}") from error
    for key, least in (("images_per_set", 1), ("calibration_images", 1), ("selection_seed", 0)):
        if getattr(benchmark, key) < least:
            raise UserError(f"{path}: key '{key}': must be at least {least}")
    if not benchmark.ood:
        raise UserError(f"{path}: key 'ood': names no data set")
    for group, names in benchmark.groups.items():
        if not names:
            raise UserError(f"{path}: key 'groups.{group}': names no data set")
        for name in names:
            if name not in benchmark.ood:
                raise UserError(f"{path}: key 'groups.{group}': '{name}' is not among 'ood'")
    return benchmark
