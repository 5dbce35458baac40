"""The command ``verify``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.cli import arguments

if TYPE_CHECKING:
    from oodbench.results import Run
    from oodbench.submission.verify import Verdict


def add(commands: Any) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "verify", help="compute a pack's figures again and compare it with its benchmark"
    )
    parser.add_argument("pack", type=Path, metavar="PACK", help="made by 'oodbench submit'")
    parser.add_argument(
        "--benchmark",
        metavar="NAME",
        help="name or TOML file (default: the benchmark that the pack names)",
    )
    arguments.add_data_folder(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Verify a pack; what does not fit is named, and makes the exit code 1."""
    import tempfile

    from oodbench.errors import InvalidData
    from oodbench.results import read_run
    from oodbench.submission.pack import extract_pack

    with tempfile.TemporaryDirectory() as name:
        try:
            extract_pack(options.pack, Path(name))
            verdict = _verify(read_run(Path(name)), options)
        except InvalidData as error:
            text = str(error).replace(f"{name}/", f"{options.pack}: ")
            print(f"does not fit: {text}", file=sys.stderr)
            return 1
    for sentence in verdict.misfits:
        print(f"does not fit: {sentence}", file=sys.stderr)
    for sentence in verdict.unchecked:
        print(f"not checked: {sentence}")
    if verdict.misfits:
        return 1
    print(f"verified: {verdict.figures:,} figures follow from the scores")
    return 0


def _verify(run: Run, options: argparse.Namespace) -> Verdict:
    from oodbench import registry
    from oodbench.errors import InvalidData
    from oodbench.paths import data_folder
    from oodbench.request import Options, find_benchmark
    from oodbench.submission.definition import define
    from oodbench.submission.verify import verify

    data = data_folder(options.data)
    known = registry.load()
    named = options.benchmark or run.info.get("benchmark")
    # What a stranger's pack names must not be a path.
    if options.benchmark is None and named not in list(known.benchmarks):
        raise InvalidData(
            f"run.json names {named!r}, which is no installed benchmark; give it by --benchmark"
        )
    benchmark = find_benchmark(Options(benchmark=named, data=data), known)
    return verify(run, define(benchmark, known, data))
