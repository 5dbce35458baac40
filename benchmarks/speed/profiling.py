"""A profile of iterations: the time of each kernel with all that it calls, and of the rest."""

from __future__ import annotations

import ast
import json
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kernels import OPERATIONS, Kernel, clock
from torch.profiler import ProfilerActivity, profile

ADAM, OVERHEAD = "Adam", "overhead"
REST = {
    ADAM: ("", "^Optimizer"),
    "copies": ("reorders, zeros", "^aten::.*(copy|clone|cat|pad|zero|fill|empty|resize)"),
    "pooling": ("upsampling, norms", "^aten::.*(pool|upsample|norm)"),
    "element-wise": ("sums, views", "^aten::"),
    OVERHEAD: ("Python, launches", ""),
}
"""What is no kernel: what belongs there, and a pattern of names; the first that fits counts."""


def profile_parts(
    iterate: Callable[[], object], repetitions: int
) -> tuple[dict[Kernel | str, int], dict[Kernel | str, float]]:
    """Return calls and seconds of each kernel and other part, in an iteration."""
    iterate()  # the first call sets up what later ones reuse
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        wall, own = time.perf_counter(), clock()
        for _ in range(repetitions):
            iterate()
        wall, own = time.perf_counter() - wall, clock() - own
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    calls, microseconds = _attribute(events)
    microseconds[OVERHEAD] += wall * 1e6  # from which those of all events were taken
    scale = own / wall / repetitions / 1e6
    return (
        {part: max(1, count // repetitions) for part, count in calls.items()},
        {part: scale * duration for part, duration in microseconds.items()},
    )


def _attribute(
    events: Sequence[dict[str, Any]],
) -> tuple[Counter[Kernel | str], Counter[Kernel | str]]:
    """Return calls and microseconds of each part, of kernels and Adam with all that they call.

    An operation in a backward pass belongs to the double backward if the one that it is the
    backward of was in a backward pass itself; the two share a sequence number.
    """
    calls: Counter[Kernel | str] = Counter()
    microseconds: Counter[Kernel | str] = Counter()
    phases: dict[int, int] = {}
    callers: list[tuple[float, Kernel | str, int]] = [(math.inf, OVERHEAD, 0)]
    operations = [each for each in events if each.get("cat") in ("cpu_op", "user_annotation")]
    for event in sorted(operations, key=lambda each: (each["ts"], -each["dur"])):
        name, start, duration = event["name"], event["ts"], event["dur"]
        while callers[-1][0] < start + duration / 2:
            callers.pop()
        _, caller, phase = callers[-1]
        number = event["args"].get("Sequence number")
        if name.startswith("autograd::engine::evaluate_function"):
            phase = 1 + min(1, phases.get(number, 0))
        elif name.startswith("aten::") and number is not None:
            phases[number] = phase
        part = caller if isinstance(caller, Kernel) or caller == ADAM else _part(event, phase)
        calls[part] += part is not caller
        microseconds[part] += duration
        microseconds[caller] -= duration
        callers.append((start + duration, part, phase))
    return calls, microseconds


def _part(event: dict[str, Any], phase: int) -> Kernel | str:
    """Return the kernel that an event of a profile is, or the other part that it belongs to."""
    name, arguments = event["name"], event["args"]
    if name not in OPERATIONS:
        return next(part for part, (_, pattern) in REST.items() if re.search(pattern, name))
    count = 2 if name == "aten::mm" else 3
    columns = (arguments[each][:count] for each in ("Input type", "Input Dims", "Input Strides"))
    tensors = (
        (kind, tuple(dims), tuple(steps)) for kind, dims, steps in zip(*columns, strict=True)
    )
    values = (
        [] if name.endswith("mm") else map(ast.literal_eval, arguments["Concrete Inputs"][count:])
    )
    frozen = (tuple(each) if isinstance(each, list) else each for each in values)
    return Kernel(name, phase, tuple(tensors), tuple(frozen))
