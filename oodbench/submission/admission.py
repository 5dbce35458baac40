"""Packs from elsewhere, opened for commands that accept only verified runs."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oodbench.errors import InvalidData
from oodbench.registry.lookup import load_registry
from oodbench.request.definitions import find_benchmark
from oodbench.request.options import Options
from oodbench.results.run import Run, read_run
from oodbench.submission.definition import Definition, define
from oodbench.submission.pack import extract_pack
from oodbench.submission.verify import Verdict, verify_folds


class Verifier:
    """A verifier of packs against the installed benchmarks and the available images.

    Args:
        data: folder of images; nothing is downloaded.
        benchmark: name or TOML file of the benchmark that packs must be runs of; by default the
            installed one that each pack names.
    """

    def __init__(self, data: Path, benchmark: str | None = None) -> None:
        self._data = data
        self._benchmark = benchmark
        self._registry = load_registry()
        self._define = functools.cache(self._definition)

    @contextmanager
    def extracted(self, pack: Path) -> Iterator[Run]:
        """Yield the unverified run of a pack while its files are in a temporary folder.

        Raises:
            UserError: if the pack cannot be read.
            InvalidData: if it is no pack, or a file in it is damaged, in the block too.
        """
        with tempfile.TemporaryDirectory() as name:
            try:
                extract_pack(pack, Path(name))
                yield read_run(Path(name))
            except InvalidData as error:
                text = str(error).replace(f"{name}/", f"{pack}: ").replace(name, str(pack))
                raise InvalidData(text) from error

    def verdict(self, run: Run) -> Verdict:
        """Verify a run.

        Raises:
            InvalidData: if it names no installed benchmark, or one of its files is damaged.
            UserError: if what the benchmark needs is not installed.
        """
        named = self._benchmark or run.info.get("benchmark")
        # A name in a third-party pack must not be a path.
        if self._benchmark is None and named not in list(self._registry.benchmarks):
            raise InvalidData(
                f"run.json names {named!r}, which is not an installed benchmark; name it by "
                "--benchmark"
            )
        return verify_folds(run, self._define(named))

    @contextmanager
    def open(self, pack: Path) -> Iterator[Path]:
        """Yield the folder of a pack's run, which was checked completely and fits.

        Raises:
            UserError: if the pack cannot be read.
            InvalidData: if anything does not fit, or cannot be checked here.
        """
        with self.extracted(pack) as run:
            verdict = self.verdict(run)
            reasons = [f"does not fit: {sentence}" for sentence in verdict.misfits]
            reasons += [f"cannot be checked here: {sentence}" for sentence in verdict.unchecked]
            if reasons:
                raise InvalidData("; ".join(reasons))
            yield run.directory

    def _definition(self, name: str) -> dict[str, Definition]:
        benchmark = find_benchmark(Options(benchmark=name, data=self._data), self._registry)
        folds = benchmark.by_fold() or {"": benchmark}
        return {fold: define(own, self._registry, self._data) for fold, own in folds.items()}
