"""How good the images of a run's GANAD generator are, as its classifier sees them.

    python benchmarks/reproduction/generator_quality.py RUN [--store DIR]

Prints the share of fakes that are classified as what they were made for, and the Fréchet distance
of their features from those of ID test images. Both are written to ``generator.json`` in the run's
folder, where ``ganad_tables.py`` finds them.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from ganad_tables import QUALITY
from kept import stored_run

from oodbench_ganad.figures.samples import describe, quality_of
from oodbench_ganad.figures.sampling import Sampler


def main() -> None:
    """Measure and write."""
    run, folder = stored_run(__doc__)
    quality = quality_of(run, Sampler.of(run))
    print(describe(quality))
    figures = json.dumps(asdict(quality), indent=1) + "\n"
    (folder / QUALITY).write_text(figures, encoding="utf-8")


if __name__ == "__main__":
    main()
