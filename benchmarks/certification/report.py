"""The certificate: what was measured, with the facts that were looked up, as Markdown."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oodbench.contracts import parameters
from oodbench_classical.adapter import Classical
from oodbench_posthoc.adapter import Adapter

from .cases import REGISTRY, Case
from .measuring import Agreement, Row

FACTS = Path(__file__).with_name("methods.toml")
AGREES = 0.999
"""Ranks that correlate by this much need no reason."""

HEAD = """# Certified

What other libraries compute for our detectors, from the same arrays and the same network. Made,
with Python 3.11 or 3.12, by

    pip install -e ".[certify]" && pip install --no-deps ood-detectors ood-detection
    python benchmarks/certify.py

not by hand; the facts and the reasons are in `benchmarks/certification/methods.toml`.

"""

NOTES = """
* **arrays** are 240 training images and 160 others as 24 features: many tie, many are negative,
  one is 0 for all training images and not for some others, one never varies, a class has 2
  training images. **digits** are scikit-learn's, by the classifier that ships, with rotated
  digits as OOD. On both, all implementations get the same numbers.
* The first figure is Spearman's correlation of the scores of ID and OOD images together, the
  second the largest difference of two scores of an image, as a share of the range of ours. Scores
  were brought to our sign and units first, where these differ (squares, sums in place of means).
* *parts*: the library has the parts of the method, which are put together here; such rows are not
  counted. *ours calls it*: our detector is computed by this library, wholly or in part, so that
  the row certifies our adapter; PyOD's detectors of the same names call scikit-learn too.
* Packages with the authors' code do not exist. The column "2026" says what was measured in that
  year with equal parameters: rank correlations of our scores with those of OpenOOD (main,
  3c35632) and, where they publish some, of the authors' code, on an MNIST and a CIFAR-10 network.
  OpenOOD's defaults are those of its `configs/postprocessors` at that commit.
"""


def facts() -> dict[str, Any]:
    """Return what was looked up, by detector."""
    with FACTS.open("rb") as file:
        return tomllib.load(file)


def unexplained(rows: Iterable[Row], known: Mapping[str, Any]) -> list[str]:
    """Return the comparisons that differ without a reason being given."""
    return [
        f"{row.implementation.detector} by {row.implementation.library}"
        for row in rows
        if _differs(row) and not _reason(row, known)
    ]


def _differs(row: Row) -> bool:
    found = [*row.equal.values(), *row.default.values()]
    return any(each.error or each.broken or not each.correlation >= AGREES for each in found)


def _reason(row: Row, known: Mapping[str, Any]) -> str:
    name, library = _key(row)
    reason: str = known.get(name, {}).get("reasons", {}).get(library, "")
    return reason


def certificate(rows: Sequence[Row], cases: Sequence[Case], known: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        rows: what was measured.
        cases: what it was measured on.
        known: the facts.
    """
    return "".join(
        [
            HEAD,
            _summary(rows),
            NOTES,
            _section("Detectors", _detectors(rows, known)),
            _section("Implementations", _implementations(rows, cases, known)),
            _faults(known),
            _alone(known),
        ]
    )


def _summary(rows: Sequence[Row]) -> str:
    whole = [row for row in rows if _compared(row) and not row.implementation.parts]
    several = _with_two(whole)
    foreign = _with_two([row for row in whole if not _called(row)])
    equal = [each for row in rows for each in row.equal.values() if not each.error]
    agreeing = sum(each.correlation >= AGREES for each in equal)
    versions = {row.implementation.library: row.version for row in rows}
    there = ", ".join(f"{name} {found}" for name, found in sorted(versions.items()) if found)
    missing = ", ".join(name for name, found in sorted(versions.items()) if not found)
    every = {row.implementation.detector for row in rows if _compared(row)}
    return (
        f"{len(every)} detectors were compared, {several} of them with two or more other "
        f"implementations, {foreign} not counting a library that ours calls. "
        f"Of {len(equal)} comparisons with equal parameters, {agreeing} have a "
        f"rank correlation of at least {AGREES}; the others say why.\n\n"
        f"Installed: {there}.{f' Not installed: {missing}.' if missing else ''}\n"
    )


def _with_two(rows: Iterable[Row]) -> int:
    """Return how many detectors have rows by two libraries or more."""
    counts = Counter(name for name, _ in {_key(row) for row in rows})
    return sum(count > 1 for count in counts.values())


def _key(row: Row) -> tuple[str, str]:
    return row.implementation.detector, row.implementation.library


def _compared(row: Row) -> bool:
    return any(not each.error for each in row.equal.values())


def _section(title: str, lines: Iterable[str]) -> str:
    return f"\n## {title}\n\n" + "".join(f"{line}\n" for line in lines)


def _detectors(rows: Sequence[Row], known: Mapping[str, Any]) -> Iterable[str]:
    yield (
        "| detector | our default | the authors' | OpenOOD's | 2026 | by | lowest correlation, "
        "equal | largest difference, equal | lowest correlation, defaults |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    alone = known["alone"].keys() & REGISTRY.detectors.keys()
    for name in sorted({row.implementation.detector for row in rows} | alone):
        own = [row for row in rows if row.implementation.detector == name]
        equal = [each for row in own for each in row.equal.values() if not each.error]
        default = [each for row in own for each in row.default.values() if not each.error]
        of_library = ", ".join(row.implementation.library for row in own if _compared(row))
        looked_up = known.get(name, {})
        cells = [
            f"`{name}`",
            _settings(name),
            looked_up.get("authors", ""),
            looked_up.get("openood", "not there"),
            looked_up.get("measured", ""),
            of_library or "none",
            _figure(min((each.correlation for each in equal), default=math.nan)),
            _size(max((each.difference for each in equal), default=math.nan)),
            _figure(min((each.correlation for each in default), default=math.nan)),
        ]
        yield f"| {' | '.join(cells)} |"


def _settings(name: str) -> str:
    found = parameters(Case.new(name))
    return ", ".join(f"{key} {value}" for key, value in found.items()) or "none"


def _implementations(
    rows: Sequence[Row], cases: Sequence[Case], known: Mapping[str, Any]
) -> Iterable[str]:
    names = [case.name for case in cases]
    heads = [f"{name}, {what}" for what in ("equal", "defaults") for name in names]
    yield f"| detector | by | {' | '.join(heads)} | why they differ |"
    yield f"| --- | --- | {' | '.join('---' for _ in heads)} | --- |"
    for row in sorted(
        rows, key=lambda row: (row.implementation.detector, row.implementation.library)
    ):
        which = row.implementation
        if row.version is None:
            yield f"| `{which.detector}` | {which.library} |{' |' * len(heads)} not installed |"
            continue
        cells = [_cell(found.get(name)) for found in (row.equal, row.default) for name in names]
        marks = [*(["parts"] if which.parts else []), *(["ours calls it"] if _called(row) else [])]
        by = which.library + (f" ({', '.join(marks)})" if marks else "")
        yield f"| `{which.detector}` | {by} | {' | '.join(cells)} | {_reason(row, known)} |"


def _called(row: Row) -> bool:
    detector = Case.new(row.implementation.detector)
    callers = {"pytorch-ood": Adapter, "scikit-learn": Classical}
    caller = callers.get(row.implementation.library)
    return caller is not None and isinstance(detector, caller)


def _cell(found: Agreement | None) -> str:
    if found is None:
        return ""
    if found.error:
        return f"fails: {found.error.replace('|', '/')}"
    broken = f", {found.broken} not finite" if found.broken else ""
    return f"{_figure(found.correlation)}, {_size(found.difference)}{broken}"


def _figure(correlation: float) -> str:
    """Return a correlation, not rounded up to 1."""
    return "" if math.isnan(correlation) else f"{math.floor(correlation * 1e4 + 1e-6) / 1e4:.4f}"


def _size(difference: float) -> str:
    """Return the order of a difference: its last digits depend on the processor."""
    if math.isnan(difference):
        return ""
    return "< 1e-6" if difference < 1e-6 else f"{difference:.0e}"


def _faults(known: Mapping[str, Any]) -> str:
    lines = [
        f"* **{library}**, {fault['what']} ({fault['where']})"
        for library, found in known["faults"].items()
        for fault in found
    ]
    return _section("What we take for faults of other libraries", lines)


def _alone(known: Mapping[str, Any]) -> str:
    lines = [f"* `{name}`: {why}" for name, why in sorted(known["alone"].items())]
    return _section("Without another implementation", lines)
