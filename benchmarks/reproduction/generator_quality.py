"""How good the images of a run's GANAD generator are, as its classifier sees them.

    python benchmarks/reproduction/generator_quality.py RUN [--store DIR]

Prints the share of fakes that are classified as what they were made for, and the Fréchet distance
of their features from those of ID test images. Both are written to ``generator.json`` in the run's
folder, where ``ganad_tables.py`` finds them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ganad_tables import QUALITY

from oodbench.plot.view import StoredRun
from oodbench.registry.lookup import load_registry
from oodbench.results.run import read_run
from oodbench.store.opening import open_store
from oodbench_ganad.figures.samples import describe, quality_of
from oodbench_ganad.figures.sampling import Sampler


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--store", metavar="DIR", help="of the run")
    arguments = parser.parse_args()
    run = StoredRun(read_run(arguments.run), open_store(arguments.store), load_registry())
    quality = quality_of(run, Sampler.of(run))
    print(describe(quality))
    figures = json.dumps(asdict(quality), indent=1) + "\n"
    (arguments.run / QUALITY).write_text(figures, encoding="utf-8")


if __name__ == "__main__":
    main()
