"""Any folder of a run, and any pack, is shown or left out with a reason, and stops no other."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from harness import Oodbench, fuzzed
from hostile import TEXTS, changed, mangled, values
from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_run

from oodbench.submission.pack import REQUIRED

CELLS = [*TEXTS, "1e-320", "1e400", "-1", "nan", "inf", "9" * 5_000, "9" * 20, "0x1", "1_0", "ok"]
ARRAYS = [
    lambda count: pyarrow.array([None] * count),
    lambda count: pyarrow.array(["x" * 1_000] * count),
    lambda count: pyarrow.array([float("nan")] * count),
    lambda count: pyarrow.array([float("inf")] * count, pyarrow.float32()),
    lambda count: pyarrow.array([-1] * count, pyarrow.int8()),
    lambda count: pyarrow.array([2**64 - 1] * count, pyarrow.uint64()),
    lambda count: pyarrow.array([[1.0]] * count),
    lambda count: pyarrow.array([{"x": 1}] * count),
    lambda count: pyarrow.array([b"\xff"] * count),
    lambda count: pyarrow.array([True] * count),
    lambda count: pyarrow.array([1.5] * count, pyarrow.float64()),
    lambda count: pyarrow.array([0] * count, pyarrow.timestamp("us")),
    lambda count: pyarrow.array(["\x1b[2J"] * count).dictionary_encode(),
]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


TORCH = "import oodbench.plot.view"
"""Torch alone maps more memory than a command may take; loaded first, it is not counted."""


@pytest.fixture(scope="module")
def oodbench() -> Iterator[Oodbench]:
    with Oodbench(TORCH) as process:
        yield process


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of an honest run."""
    folder = tmp_path_factory.mktemp("made") / "run"
    note = {"citation": "A. Author", "url": "https://example.org"}
    noted = {"peak_memory": 1e6, "parameters": 5, "forward_passes": 1.0}
    make_run(
        folder,
        papers={"energy": note},
        costs={"energy": noted},
        classifier_parameters=100,
        request={"groups": {"near": ["Glyphs"]}},
        artifacts={"train_images": "a/b", "classifiers": [], "outputs": [], "detectors": []},
        jobs={"fit/a": "fit energy"},
        shipped={"train net": {}},
        broken={},
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@st.composite
def tables(draw: st.DrawFn, content: bytes) -> bytes:
    """Change columns, rows, row groups and metadata of a Parquet file."""
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[place]
        match draw(st.sampled_from(["replace", "replace", "drop", "twice", "rows", "metadata"])):
            case "replace":
                table = table.set_column(place, name, draw(st.sampled_from(ARRAYS))(len(table)))
            case "drop" if table.num_columns > 1:
                table = table.remove_column(place)
            case "twice":
                table = table.append_column(name, table.column(place))
            case "rows":
                start, count = draw(st.tuples(st.integers(0, 400), st.integers(0, 400)))
                table = table.slice(start, count)
            case "metadata":
                said = draw(
                    st.sampled_from(["[" * 10_000, "{}", '{"index_columns": [{}]}', "\xff"])
                )
                table = table.replace_schema_metadata({"pandas": said})
    repeats = draw(st.sampled_from([1, 1, 1, 2, 100, 10_000]))
    table = pyarrow.concat_tables([table] * repeats) if table.num_columns else table
    target = io.BytesIO()
    size = draw(st.sampled_from([None, None, 7])) if len(table) < 5_000 else None
    try:
        pyarrow.parquet.write_table(table, target, compression="zstd", row_group_size=size)
    except pyarrow.ArrowException:
        return content
    return target.getvalue()


@st.composite
def records(draw: st.DrawFn, content: bytes) -> bytes:
    """Change cells, rows and the header of a CSV file."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.integers(0, len(rows) - 1))
        cell = draw(st.integers(0, len(rows[line]) - 1)) if rows[line] else 0
        match draw(st.sampled_from(["cell", "cell", "cell", "remove", "repeat", "shorten"])):
            case "cell" if rows[line]:
                rows[line][cell] = draw(st.sampled_from(CELLS) | st.text(max_size=9))
            case "remove" if len(rows) > 1:
                del rows[line]
            case "repeat":
                rows += [list(rows[line])] * draw(st.sampled_from([1, 10, 50_000]))
            case "shorten":
                rows[line] = rows[line][:cell]
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode("utf-8", "replace")


def as_json(content: Any) -> bytes:
    try:
        return json.dumps(content).encode()
    except (ValueError, RecursionError):  # a number that Python does not print
        return b'{"files": ' + b"9" * 6_000 + b"}"


@st.composite
def hostile_run(draw: st.DrawFn, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a run of which one or two are not as they should be."""
    made = dict(files)
    info = json.loads(files["run.json"])
    kinds = st.sampled_from(["json", "json", "records", "scores", "predictions", "bytes"])
    chosen = draw(st.sets(kinds, min_size=1, max_size=2))
    if "records" in chosen:
        made["records.csv"] = draw(records(made["records.csv"]))
    for name in ("scores", "predictions"):
        if name in chosen:
            made[f"{name}.parquet"] = draw(tables(made[f"{name}.parquet"]))
    if "bytes" in chosen:
        name = draw(st.sampled_from(REQUIRED[1:]))
        made[name] = draw(mangled(made[name]))
    if draw(st.integers(0, 9)):  # checksums fit as a rule
        info["files"] = {name: _digest(content) for name, content in made.items()}
    if "json" in chosen:
        info = draw(changed(info) | values)
    made["run.json"] = as_json(info)
    if draw(st.integers(0, 9)) == 0:
        made["run.json"] = draw(mangled(files["run.json"]))
    return made


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def write(folder: Path, made: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)


def test_a_run_is_shown_or_left_out(oodbench: Oodbench, files, tmp_path: Path) -> None:
    write(tmp_path / "runs" / "honest", files)
    hostile, site = tmp_path / "runs" / "hostile", tmp_path / "site"
    runs = [str(tmp_path / "runs" / "honest"), str(hostile)]

    @fuzzed(1_200)
    @given(hostile_run(files), st.integers(0, 11))
    def check(made: dict[str, bytes], number: int) -> None:
        write(hostile, made)
        found = oodbench("leaderboard", str(tmp_path / "runs"), "--out", str(site))
        assert found.code == 0, found
        assert "unexpected" not in found.errors.replace("unexpected end", ""), found.errors
        oodbench("table", str(hostile), "--format", ["terminal", "csv", "html"][number % 3])
        oodbench("compare", *runs)
        if number == 0:
            oodbench("table", *runs)
            oodbench("submit", str(hostile), "--out", str(tmp_path / "out.zip"))
            oodbench("recompute", str(hostile))

    check()


def test_a_run_has_a_page_or_a_reason(oodbench: Oodbench, files, tmp_path: Path) -> None:
    @fuzzed(100)
    @given(hostile_run(files))
    def check(made: dict[str, bytes]) -> None:
        write(tmp_path / "run", made)
        oodbench("report", str(tmp_path / "run"))
        oodbench("plot", str(tmp_path / "run"), "--store", str(tmp_path / "store"))

    check()


@st.composite
def hostile_pack(draw: st.DrawFn, files: dict[str, bytes]) -> bytes:
    """Return a pack with a hostile run, or a hostile pack."""
    made = draw(st.just(files) | hostile_run(files))
    target = io.BytesIO()
    kind = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
    with zipfile.ZipFile(target, "w", kind) as archive:
        for name, content in made.items():
            if draw(st.integers(0, 30)):
                archive.writestr(name, content)
        if draw(st.integers(0, 9)) == 0:
            archive.writestr(draw(st.sampled_from(["../evil", "/evil", "x.py", "\x1b[2J"])), b"")
        if draw(st.integers(0, 9)) == 0:
            archive.writestr("table.md", bytes(draw(st.sampled_from([10, 10**7, 10**8]))))
    content = target.getvalue()
    return draw(st.just(content) | mangled(content))


def test_a_pack_is_verified_or_left_out(oodbench: Oodbench, files, tmp_path: Path) -> None:
    write(tmp_path / "runs" / "honest", files)
    pack = tmp_path / "runs" / "theirs.zip"

    @fuzzed(700)
    @given(hostile_pack(files))
    def check(content: bytes) -> None:
        pack.write_bytes(content)
        oodbench("verify", str(pack), "--data", str(tmp_path))
        found = oodbench(
            *("leaderboard", str(tmp_path / "runs"), "--out", str(tmp_path / "site")),
            *("--data", str(tmp_path)),
        )
        assert found.code == 0, found
        assert (tmp_path / "runs" / "theirs.zip").exists()
        assert not (tmp_path / "evil").exists()

    check()
