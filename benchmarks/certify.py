"""Compare detectors with what other libraries compute, and write results/certified.md.

    python benchmarks/certify.py [--detectors knn,vim] [--out FILE]

Each implementation that is installed gets the same fixed arrays and the same trained network, with
parameters equal to our defaults and with its own. Exit code 1: a difference has no reason in
benchmarks/certification/methods.toml.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
from pathlib import Path

import torch
from certification.cases import arrays, digits
from certification.measuring import measure
from certification.registered import IMPLEMENTATIONS
from certification.report import certificate, facts, unexplained

PAGE = Path(__file__).parents[1] / "results" / "certified.md"


def main() -> int:
    """Measure, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--detectors", type=lambda text: text.split(","), help="names, with commas")
    parser.add_argument("--out", type=Path, default=PAGE, help=f"default: {PAGE.name} in results/")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    wanted = arguments.detectors or [each.detector for each in IMPLEMENTATIONS]
    chosen = [each for each in IMPLEMENTATIONS if each.detector in wanted]
    cases = [arrays(), digits()]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        rows = measure(chosen, cases)  # other libraries print
    known = facts()
    arguments.out.write_text(certificate(rows, cases, known), encoding="utf-8")
    without = unexplained(rows, known)
    for each in without:
        print(f"differs without a reason: {each}", file=sys.stderr)
    return 1 if without else 0


if __name__ == "__main__":
    raise SystemExit(main())
