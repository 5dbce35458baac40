"""Make one request under several conditions, and say how far what comes out differs.

Each run starts with an empty store and trains classifier and detectors anew. A row says how many
scores are equal to those of the first run, bit by bit, and by how much scores and AUROCs differ at
most. With another number of threads or another precision a training rounds otherwise, and ends with
another network, as with another seed; runs that load a trained one differ in the last digits:

    python benchmarks/reproducibility.py --markdown results/reproducibility.md
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from oodbench import hardware
from oodbench.results.run import Run, read_run

OODBENCH = str(Path(sysconfig.get_path("scripts")) / "oodbench")
REQUEST = (
    "run --id digits --detectors msp,knn,vim,isolation-forest,deep-svdd --seeds 2 --images 300 "
    "--device cpu --retrain --quiet --set preact-resnet.epochs=1 --set deep-svdd.epochs=1"
)
SCORES = ["detector", "classifier_seed", "seed", "dataset", "split", "index"]
RECORDS = ["detector", "classifier_seed", "seed", "id_dataset", "ood_dataset"]


@dataclass(frozen=True)
class Condition:
    """How a run is made.

    Attributes:
        said: the condition in words.
        options: what the command gets besides.
        threads: of each job.
        environment: variables that are set.
        elsewhere: whether it starts in another folder.
    """

    said: str
    options: Sequence[str] = ()
    threads: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    elsewhere: bool = False


CONDITIONS = (
    Condition("one thread, inline"),
    Condition("again"),
    Condition("under Ray", ("--engine", "ray")),
    Condition("another working directory", elsewhere=True),
    Condition("another order of sets and dictionaries", environment={"PYTHONHASHSEED": "7"}),
    Condition(
        "detectors in another order", ("--detectors", "deep-svdd,vim,isolation-forest,knn,msp")
    ),
    Condition("batches of 64 in place of 100", ("--batch-size", "64")),
    Condition("two threads", threads=2),
    Condition("two threads, again", threads=2),
    Condition("float32 in place of bfloat16", ("--precision", "float32")),
)


def made(condition: Condition, folder: Path) -> Run:
    """Return the run that a condition gives, in a folder of its own."""
    folder.mkdir()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    command = [OODBENCH, *REQUEST.split(), "--engine", "inline", *condition.options]
    os.sched_setaffinity(0, sorted(CPUS)[: condition.threads])
    subprocess.run(
        [*command, "--store", str(folder / "store"), "--out", str(folder / "out")],
        check=True,
        cwd=elsewhere if condition.elsewhere else None,
        env={**os.environ, "OMP_NUM_THREADS": str(condition.threads), **condition.environment},
    )
    return read_run(folder / "out")


def difference(run: Run, first: Run) -> dict[str, object]:
    """Return how far a run's scores and AUROCs differ from those of the first one."""
    one, other = (each.scores().set_index(SCORES).sort_index()["score"] for each in (run, first))
    assert one.index.equals(other.index)
    apart = np.abs(one.to_numpy() - other.to_numpy()) / np.maximum(np.abs(other.to_numpy()), 1e-12)
    auroc, theirs = (each.records.set_index(RECORDS).sort_index()["auroc"] for each in (run, first))
    return {
        "scores equal": f"{(apart == 0).mean():.2%}",
        "largest relative difference": f"{apart.max():.1e}",
        "largest difference of an AUROC": f"{(auroc - theirs).abs().max():.5f}",
    }


CPUS = os.sched_getaffinity(0)


def main() -> None:
    """Make the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--markdown", type=Path, help="write the table there")
    options = parser.parse_args()
    if len(CPUS) < 2:
        parser.error("needs two CPUs")
    rows = []
    with tempfile.TemporaryDirectory(prefix="oodbench-repeated-") as folder:
        first = None
        for number, condition in enumerate(CONDITIONS):
            run = made(condition, Path(folder) / str(number))
            if first is None:
                first = run
            rows.append({"condition": condition.said, **difference(run, first)})
            print(rows[-1], file=sys.stderr)
    table = pd.DataFrame(rows).to_markdown(index=False)
    print(table)
    if options.markdown:
        machine = ", ".join(f"{name} {value}" for name, value in hardware.describe().items())
        text = f"# Repeated under other conditions\n\n{__doc__}\n{table}\n\nMachine: {machine}.\n"
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
