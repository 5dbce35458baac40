"""The command ``export``."""

from __future__ import annotations

import argparse
import fnmatch
from pathlib import Path
from typing import Any

from oodbench.cli import arguments
from oodbench.cli.output import say

EXPLANATION = (
    "Each artifact becomes a folder of safetensors with a card.json that says what it is, what it "
    "was trained on, and by which run. A plugin ships such folders by the hook oodbench_weights."
)

CARRIED = ("benchmark", "request", "versions", "hardware", "plugins")
"""The keys of ``run.json`` that a card repeats, besides the date."""


def add(commands: Any) -> None:
    """Add the parser of the command."""
    text = "export a run's trained weights, features and logits, or a detector as a guard"
    parser = commands.add_parser("export", help=text, description=EXPLANATION)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="DIR", help="output folder of the weights"
    )
    parser.add_argument(
        "--arrays",
        type=Path,
        metavar="DIR",
        help="output folder of features, logits, labels and head, for 'oodbench run --arrays DIR' "
        "and other tools",
    )
    parser.add_argument(
        "--jobs",
        default="*",
        metavar="PATTERN",
        help="jobs to export, such as '*ganad*' (default: all)",
    )
    parser.add_argument(
        "--half", action="store_true", help="keep weights in 16 bits, for half the size"
    )
    parser.add_argument(
        "--guard",
        nargs=2,
        metavar=("DETECTOR", "DIR"),
        help="a fitted detector, and the output folder of a guard of it with classifier and "
        "thresholds, for 'oodbench score' and oodbench.load_guard",
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="with --guard, write classifier and detector as an ONNX graph too (extra onnx)",
    )
    arguments.add_fold(parser)
    parser.add_argument("--store", metavar="DIR", help="of the run")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Write a guard, weights, or features and logits, of a run."""
    from oodbench.errors import UserError

    if sum(each is not None for each in (options.folder, options.arrays, options.guard)) != 1:
        raise UserError(
            "name one output folder: DIR for weights, --arrays DIR or --guard DETECTOR DIR"
        )
    if options.onnx and options.guard is None:
        raise UserError("--onnx is an option of a guard: add --guard DETECTOR DIR")
    if options.fold is not None and options.folder is not None:
        raise UserError(
            f"--fold is for --arrays and --guard: choose weights by --jobs '*, fold {options.fold}'"
        )
    if options.arrays is not None:
        return _export_arrays(options)
    return _export_weights(options) if options.guard is None else _export_guard(options)


def _export_arrays(options: argparse.Namespace) -> int:
    """Write features and logits of a run."""
    from oodbench.registry.lookup import load_registry
    from oodbench.results.folds import read_fold
    from oodbench.runs.exported import export_arrays
    from oodbench.store.opening import open_store

    run, store = read_fold(options.run, options.fold), open_store(options.store)
    export_arrays(run, store, load_registry(), options.arrays)
    say(options.arrays)
    return 0


def _export_guard(options: argparse.Namespace) -> int:
    """Write a fitted detector with its classifier and thresholds."""
    from oodbench.guard.export import export_guard
    from oodbench.registry.lookup import load_registry
    from oodbench.results.folds import read_fold
    from oodbench.store.opening import open_store
    from oodbench.store.paths import expanded

    run, store = read_fold(options.run, options.fold), open_store(options.store)
    detector, folder = options.guard[0], expanded(options.guard[1])
    card = export_guard(run, detector, folder, store, load_registry(), onnx=options.onnx)
    calibration = card["calibration"]
    say(
        f"{card['detector']['name']} for {card['classifier']['name']}, thresholds from "
        f"{calibration['count']:,} {calibration['images']} images of {card['images']['id_dataset']}"
    )
    say(folder)
    return 0


def _export_weights(options: argparse.Namespace) -> int:
    """Write the weights of the classifiers, detectors and parts of a run."""
    from oodbench.errors import UserError, reason_of
    from oodbench.identity.pretrained import export
    from oodbench.results.run import read_run
    from oodbench.store.opening import open_store
    from oodbench.store.paths import distinct_names

    info = read_run(options.run).info
    store = open_store(options.store)
    jobs = {
        title: ref
        for ref, title in info.get("jobs", {}).items()
        if ref.startswith(("train/", "fit/")) and fnmatch.fnmatch(title, options.jobs)
    }
    if not jobs:
        raise UserError(f"the run has no training called '{options.jobs}'")
    names = distinct_names(f"{info['benchmark']} {title}" for title in jobs)
    for (title, ref), name in zip(jobs.items(), names.values(), strict=True):
        artifact = store.find_written(ref)
        if artifact is None:
            raise UserError(f"'{title}' is not in the store '{store}'; run it again")
        run = {name: info[name] for name in CARRIED if name in info}
        folder = options.folder / name
        try:
            export(artifact, run | {"finished": artifact.meta["finished"]}, folder, options.half)
        except OSError as error:
            raise UserError(f"cannot write to '{folder}': {reason_of(error)}") from error
        say(folder)
    return 0
