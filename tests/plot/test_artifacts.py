"""A run says which artifacts bring its networks back."""

from __future__ import annotations

from pathlib import Path

from oodbench.results.run import read_run
from oodbench.store.artifacts import Store


def places(entry: dict) -> list[str]:
    """Return where a fitted detector and its parts are."""
    return [
        entry["artifact"],
        *(place for part in entry["parts"].values() for place in places(part)),
    ]


def test_every_artifact_is_in_the_store(drawable: Path, store: Path) -> None:
    artifacts = read_run(drawable).info["artifacts"]
    found = [artifacts["train_images"]]
    scored = ("test", "calibration")  # outputs of other images are made where a detector asks
    outputs = [entry for entry in artifacts["outputs"] if entry["split"] in scored]
    found += [entry["artifact"] for entry in artifacts["classifiers"] + outputs]
    found += [place for entry in artifacts["detectors"] for place in places(entry)]
    opened = Store(store)
    assert all(opened.find(*place.split("/")) for place in found)


def test_seeds_have_detectors_of_their_own_and_share_the_generator(drawable: Path) -> None:
    first, second = read_run(drawable).info["artifacts"]["detectors"]
    assert (first["detector"], first["seed"]) == ("ganad", 0)
    assert (second["detector"], second["seed"]) == ("ganad", 1)
    assert first["artifact"] != second["artifact"]
    assert first["parts"]["wgan"] == second["parts"]["wgan"]


def test_outputs_are_listed_for_every_set(drawable: Path) -> None:
    outputs = read_run(drawable).info["artifacts"]["outputs"]
    assert [(entry["dataset"], entry["split"]) for entry in outputs] == [
        ("Digits", "test"),
        ("Uniform", "test"),
        ("PhotoPatches-bw", "test"),
        ("Digits", "calibration"),
        ("Digits", "validation"),
        ("Digits", "rest"),
    ]
