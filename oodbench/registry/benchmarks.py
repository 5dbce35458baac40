"""Benchmark definitions, read from TOML files."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

from oodbench.contracts import Benchmark
from oodbench.contracts.info import NAME
from oodbench.errors import UserError, suggest
from oodbench.store.paths import expanded
from oodbench.store.validation import check_values, describe, read_bytes

BYTES = 2**20
"""Bytes of a definition at most."""

MOST = 10**12
"""The largest number of images."""


def load_benchmark(path: Path) -> Benchmark:
    """Read a benchmark definition; its keys are the fields of `Benchmark`.

    Raises:
        UserError: if the file cannot be read, is malformed (the message has line and column), or
            has unknown, missing or ill-typed keys.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        content = tomllib.loads(read_bytes(path, BYTES).decode("utf-8"))
        check_values(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise UserError(f"{path}: malformed TOML: it is nested too deep") from error
    except ValueError as error:  # as is TOMLDecodeError, and what is raised for long integers
        raise UserError(f"{path}: malformed TOML: {error}") from error
    known = [each.name for each in fields(Benchmark)]
    for key in content:
        if key not in known:  # said first: a misspelt key is lacking too
            raise UserError(f"{path}: unknown key '{key}'; {suggest(key, known)}")
    try:
        benchmark = TypeAdapter(Benchmark).validate_python(content)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error)}") from error
    if not NAME.fullmatch(benchmark.name):
        raise UserError(
            f"{path}: key 'name': '{benchmark.name}' is not a valid name: use lower case, digits "
            "and hyphens"
        )
    least_values = {
        "images_per_set": 1,
        "calibration_images": 1,
        "validation_images": 0,
        "selection_seed": 0,
    }
    for key, least in least_values.items():
        if not least <= getattr(benchmark, key) <= MOST:
            raise UserError(f"{path}: key '{key}': must be from {least} to {MOST:,}")
    if not benchmark.ood:
        raise UserError(f"{path}: key 'ood': names no data set")
    for group, names in benchmark.groups.items():
        if not names:
            raise UserError(f"{path}: key 'groups.{group}': names no data set")
        for name in names:
            if name not in benchmark.ood:
                raise UserError(f"{path}: key 'groups.{group}': '{name}' is not among 'ood'")
    if benchmark.folds and (reason := why_unfit(benchmark)):
        raise UserError(f"{path}: key 'folds': {reason}")
    if benchmark.arrays:
        return replace(benchmark, arrays=str(path.parent / expanded(benchmark.arrays)))
    return benchmark


def why_unfit(benchmark: Benchmark) -> str:
    """Return why the folds of a benchmark cannot be run; "" if they can."""
    if len(benchmark.folds) > 1:
        return f"has {len(benchmark.folds)} keys ({', '.join(benchmark.folds)}); name one"
    ((key, values),) = benchmark.folds.items()
    if not values or not all(values) or len(set(values)) < len(values):
        return f"'{key}' needs different values, at least one"
    if benchmark.arrays:
        return "features and logits from elsewhere have none"
    if f"{{{key}}}" not in benchmark.id:
        return f"each has an ID set of its own; '{benchmark.id}' lacks {{{key}}}"
    return ""
