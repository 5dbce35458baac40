"""Any benchmark definition is planned, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from harness import Oodbench, fuzzed
from hostile import changed, mangled
from hypothesis import given
from hypothesis import strategies as st

DEFINITION: dict[str, Any] = {
    "name": "mine",
    "id": "digits",
    "ood": ["uniform", "gaussian"],
    "classifier": "preact-resnet",
    "summary": "Mine.",
    "images_per_set": 50,
    "calibration_images": 20,
    "selection_seed": 0,
    "validation": [],
    "groups": {"far": ["uniform"]},
    "parameters": {"preact-resnet": {"epochs": 1, "width": 4}, "energy": {"temperature": 1.5}},
}
RAW = [
    "x = " + "[" * 1_000 + "]" * 1_000,
    "x = " + "{a=" * 2_000 + "1" + "}" * 2_000,
    "[x" + ".x" * 5_000 + "]",
    "x" + ".x" * 5_000 + " = 1",
    "images_per_set = " + "1" * 5_000,
    "images_per_set = 0x" + "f" * 5_000,
    "summary = '" + "x" * 2_000_000 + "'",
    "x = [" + "1," * 400_000 + "]",
    "parameters.energy.temperature = inf",
    "parameters.energy.temperature = 1e-320",
    "parameters.energy.temperature = 1979-05-27T07:32:00Z",
    "\x00",
    "\ufeff",
]


def as_toml(content: Any) -> bytes:
    """Return a definition as TOML; what TOML cannot say is left out."""
    try:
        return tomli_w.dumps(content).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError, AttributeError):
        return b"name = 3"


definitions = st.one_of(
    changed(DEFINITION).map(as_toml),
    changed(DEFINITION).map(as_toml),
    mangled(as_toml(DEFINITION)),
    st.sampled_from(RAW).map(lambda line: line.encode() + b"\n" + as_toml(DEFINITION)),
    st.binary(max_size=200),
)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture(scope="module")
def oodbench():
    with Oodbench() as process:
        yield process


def test_a_definition_is_planned_or_refused(oodbench: Oodbench, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    store = str(tmp_path / "store")

    @fuzzed(1_000)
    @given(definitions)
    def check(content: bytes) -> None:
        path.write_bytes(content)
        oodbench(
            *("plan", "--benchmark", str(path), "--detectors", "energy", "--store", store),
            *("--data", str(tmp_path), "--device", "cpu"),
        )

    check()
