"""What the documentation says of a run's files is what the code writes and reads.

``python tests/docs/test_schema.py`` writes the published schema anew.
"""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from following import ROOT, SITE

from oodbench.results.columns import PREDICTION, RECORD, SCORE
from oodbench.results.schema import json_schema

SCHEMA = SITE / "schema" / "run.schema.json"
KEPT = sorted((ROOT / "results").glob("*/run.json"))


def documented(heading: str) -> list[str]:
    """Return the names in the first column of the table under a heading."""
    text = (SITE / "run-files.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    cells = re.findall(r"^\| (`[^|]*) \|", section.group(1), re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize(
    ("heading", "columns"), [("Records", RECORD), ("Scores", SCORE), ("Predictions", PREDICTION)]
)
def test_every_column_is_documented_in_its_order(heading: str, columns: dict[str, str]) -> None:
    assert documented(heading) == list(columns)


def test_every_key_of_run_json_is_documented() -> None:
    assert sorted(documented("run.json")) == sorted(json_schema()["properties"])


def outline(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of every object; the rest of a schema depends on pydantic's version."""
    parts = {"run.json": schema, **schema["$defs"]}
    return {
        name: (sorted(part.get("properties", ())), sorted(part.get("required", ())))
        for name, part in parts.items()
    }


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert outline(published) == outline(json_schema())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_kept_runs_fit_the_published_schema(path: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), schema)


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
