"""What a run says of itself is checked before anything uses it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from made_runs import make_run

from oodbench.errors import InvalidData, describe
from oodbench.leaderboard.build import read_leaderboard
from oodbench.results import files as runfiles
from oodbench.results.run import Run, read_run
from oodbench.results.schema import json_schema, parse_info
from oodbench.store.artifacts import digest_file

KEPT = sorted((Path(__file__).parents[2] / "results").glob("*/run.json"))


def changed(info: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a copy of what run.json says with one value replaced; dots separate keys."""
    info = json.loads(json.dumps(info))
    *path, last = place.split(".")
    inner = info
    for key in path:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return info


def rewrite(run: Run, **files: bytes) -> None:
    """Replace files of a run, by name up to the dot, with checksums that fit."""
    info = dict(run.info)
    for name, content in files.items():
        (path,) = run.directory.glob(f"{name}.*")
        path.write_bytes(content)
        info["files"][path.name] = digest_file(path)
    (run.directory / "run.json").write_text(json.dumps(info))


def reasons(folder: Path) -> list[str]:
    """Build a leaderboard beside one honest run, and return why others were left out."""
    make_run(folder / "honest")
    found = read_leaderboard([folder])
    found.write(folder / "site")
    assert [each.entry.runs for each in found.boards[0].standings] == [(folder / "honest",)] * 2
    return [each.reason for each in found.skipped]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_kept_runs_fit_the_schema(path: Path) -> None:
    content = path.read_bytes()
    assert parse_info(content) == json.loads(content)


def test_the_schema_is_published_with_every_key_described() -> None:
    schema = json_schema()
    assert schema["required"][:3] == ["key", "benchmark", "request"]
    assert set(schema["properties"]) <= set(schema["description"].replace(":", " ").split())


def test_keys_of_newer_versions_are_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path, probe={"images": 256})
    assert read_run(run.directory).info["probe"] == {"images": 256}


HOSTILE = {
    "an infinite parameter": ("request.classifier", {"net": {"width": float("inf")}}),
    "costs beyond any number": ("costs.energy", {"peak_memory": 10**400}),
    "an address that is none": ("papers.energy", {"citation": "", "url": "http://[::1"}),
    "no request": ("request", None),
    "detectors in a list": ("request.detectors", ["energy", "msp"]),
    "two classifiers": ("request.classifier", {"net": {}, "other": {}}),
    "a seed that is true": ("request.seeds", [True]),
    "negative images": ("request.images_per_set", -1),
    "a fingerprint that is a table": ("request.fingerprints.ood", {"Glyphs": {}}),
    "a note that is a number": ("notes", {"Glyphs": 3}),
    "a plugin that is a list": ("plugins", {"energy": []}),
    "a text without end": ("notes", {"Glyphs": "x" * 200_000}),
    "half of a character": ("notes", {"Glyphs": "\ud800"}),
    "an integer of 300 bits": ("future", 2**300),
    "200 levels": ("future", json.loads("[" * 150 + "]" * 150)),
    "a million values": ("future", [0] * 1_000_000),
    "no name": ("benchmark", ""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_run_json_of_a_wrong_kind_is_left_out(tmp_path: Path, what: str) -> None:
    run = make_run(tmp_path / "hostile")
    text = json.dumps(changed(run.info, *HOSTILE[what]))
    (run.directory / "run.json").write_text(text)
    with pytest.raises(InvalidData, match=r"run\.json"):
        read_run(run.directory)
    (reason,) = reasons(tmp_path)
    assert "run.json" in reason
    assert "an unexpected error" not in reason


def test_json_of_a_hundred_thousand_levels_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "hostile")
    (run.directory / "run.json").write_text('{"a":' * 100_000)
    assert "is damaged" in reasons(tmp_path)[0]


@pytest.mark.parametrize("kind", ["/dev/zero", "pipe"])
@pytest.mark.parametrize("name", ["run.json", "records.csv", "scores.parquet"])
def test_a_file_without_an_end_is_left_out(tmp_path: Path, name: str, kind: str) -> None:
    path = make_run(tmp_path / "hostile").directory / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    assert "it is not a regular file" in reasons(tmp_path)[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("score_seconds", "1e-320"),
        ("score_seconds", "1e400"),
        ("fit_seconds", "-1"),
        ("auroc", "1.5"),
        ("auroc", "inf"),
        ("n_ood", "1" + "0" * 30),
        ("n_id", "9" * 5_000),
        ("classifier_seed", "-1"),
        ("seed", str(2**63)),
        ("detector", ""),
        ("error", "x" * 120_000),
    ],
)
def test_a_record_beyond_its_bounds_is_left_out(tmp_path: Path, column: str, value: str) -> None:
    run = make_run(tmp_path / "hostile")
    records = run.records.astype("object").assign(**{column: value})
    rewrite(run, records=records.to_csv(index=False).encode())
    (reason,) = reasons(tmp_path)
    assert f"column {column}: " in reason


def test_more_records_than_were_asked_for_are_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "hostile")
    header, row, *_ = run.records.to_csv(index=False).splitlines(keepends=True)
    rewrite(run, records=(header + row * 300_000).encode())
    assert "more records than the 6 that run.json allows for" in reasons(tmp_path)[0]


def test_parquet_that_declares_more_rows_than_were_asked_for_is_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "hostile")
    path = run.directory / "scores.parquet"
    row = pyarrow.parquet.read_table(path).slice(0, 1)
    many = pyarrow.concat_tables([row] * 5_000).combine_chunks()
    pyarrow.parquet.write_table(many, path, compression="zstd")
    rewrite(run, scores=path.read_bytes())
    assert "has 5,000 rows, more than the 420 that run.json allows for" in reasons(tmp_path)[0]


def test_rows_beyond_the_ceiling_say_what_to_do(tmp_path: Path, monkeypatch) -> None:
    make_run(tmp_path / "hostile", {"energy": 1.0, "msp": 1.0, "odin": 1.0})
    monkeypatch.setattr(runfiles, "ROWS", 500)
    (reason,) = reasons(tmp_path)
    assert "has 540 rows, more than the 500 that can be read of one run; compare fewer" in reason


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("score", ["x"]),
        ("score", [[1.0]]),
        ("detector", [7]),
        ("index", [0.5]),
        ("seed", ["0"]),
    ],
)
def test_a_column_of_a_wrong_type_is_named(tmp_path: Path, column: str, values: list[Any]) -> None:
    run = make_run(tmp_path / "hostile")
    path = run.directory / "scores.parquet"
    table = pyarrow.parquet.read_table(path)
    place = table.column_names.index(column)
    table = table.set_column(place, column, pyarrow.array(values * len(table)))
    pyarrow.parquet.write_table(table, path)
    rewrite(run, scores=path.read_bytes())
    assert f"column {column}: values of the wrong type" in reasons(tmp_path)[0]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("score", float("nan"), "a number is not finite"),
        ("score", None, "a value is missing"),
        ("dataset", None, "a value is missing"),
    ],
)
def test_a_value_that_is_missing_is_named(tmp_path: Path, column: str, value, reason: str) -> None:
    run = make_run(tmp_path / "hostile")
    path = run.directory / "scores.parquet"
    table = pyarrow.parquet.read_table(path)
    values = [value, *table[column].to_pylist()[1:]]
    table = table.set_column(table.column_names.index(column), column, pyarrow.array(values))
    pyarrow.parquet.write_table(table, path)
    rewrite(run, scores=path.read_bytes())
    assert f"column {column}: {reason}" in reasons(tmp_path)[0]


def test_names_that_unpack_to_more_than_their_rows_need_are_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "hostile")
    path = run.directory / "scores.parquet"
    table = pyarrow.parquet.read_table(path)
    names = pyarrow.DictionaryArray.from_arrays([0] * len(table), ["x" * 2**27])
    table = table.set_column(0, "detector", names)
    pyarrow.parquet.write_table(table, path, compression="zstd")
    rewrite(run, scores=path.read_bytes())
    assert "unpacks to" in reasons(tmp_path)[0]


def test_what_pandas_is_told_in_a_parquet_file_is_left_aside(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = run.directory / "scores.parquet"
    table = pyarrow.parquet.read_table(path).replace_schema_metadata({"pandas": "[" * 10_000})
    pyarrow.parquet.write_table(table, path)
    rewrite(run, scores=path.read_bytes())
    assert read_run(run.directory).scores().equals(run.scores())


def test_an_unexpected_error_leaves_one_run_out_and_says_so(tmp_path, monkeypatch) -> None:
    from oodbench.leaderboard import finding

    read = finding.read_entries

    def broken(directory: Path, pack: Path | None = None) -> Any:
        if directory.name == "hostile":
            raise RecursionError("too deep")
        return read(directory, pack)

    make_run(tmp_path / "hostile")
    monkeypatch.setattr(finding, "read_entries", broken)
    assert reasons(tmp_path) == [
        "an unexpected error, please report it: RecursionError('too deep')"
    ]


def test_a_message_without_an_end_is_cut_so_that_its_run_can_be_read() -> None:
    assert len(describe(ValueError("x" * 1_000_000))) < 20_000
