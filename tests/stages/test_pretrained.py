"""Weights that plugins ship are taken where they fit, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from stagework import Bench, Small, TwoClasses, tensors

from oodbench.contracts import PluginError
from oodbench.identity.half import narrow
from oodbench.identity.keys import digest
from oodbench.identity.pretrained import CARD, Weights, export, identity_of, read_weights
from oodbench.store.artifacts import Artifact


@pytest.fixture
def shipped(trained: Artifact, tmp_path: Path) -> Weights:
    """Return the weights of the classifier that was trained with seed 0."""
    export(trained, {"benchmark": "toy"}, tmp_path / "shipped")
    return read_weights(tmp_path / "shipped")[1]


def test_shipped_weights_are_found_by_class_parameters_and_seed(shipped: Weights) -> None:
    key, _ = read_weights(shipped.directory)
    assert key == digest(identity_of(Small(), 0))
    assert key != digest(identity_of(Small(), 1))


def test_weights_that_fit_are_taken_in_place_of_training(
    bench: Bench, train: Artifact, trained: Artifact, shipped: Weights
) -> None:
    taken = bench.train(train, weights=(shipped,))
    assert bench.reports == []
    assert taken.files == trained.files
    assert taken.meta["shipped"] == {"benchmark": "toy"}
    assert taken.meta["train_accuracy"] == trained.meta["train_accuracy"]


def test_weights_in_16_bits_are_taken_rounded_and_in_32_bits(
    bench: Bench, train: Artifact, trained: Artifact, tmp_path: Path
) -> None:
    export(trained, {"benchmark": "toy"}, tmp_path / "half", half=True)
    found = tmp_path / "half" / "model.safetensors"
    assert found.stat().st_size < 0.75 * (trained / "model.safetensors").stat().st_size
    taken = bench.train(train, weights=(read_weights(tmp_path / "half")[1],))
    whole, rounded = tensors(trained, "model"), tensors(taken, "model")
    assert all(torch.equal(rounded[name], whole[name].half().float()) for name in whole)
    assert taken.meta["shipped"] == {"benchmark": "toy"}


def test_weights_that_16_bits_cannot_hold_are_refused(tmp_path: Path) -> None:
    save_file({"bias": torch.tensor([1.0, 7e4])}, tmp_path / "whole.safetensors")
    with pytest.raises(ValueError, match=r"'bias' reaches 7e\+04, more than 16 bits can hold"):
        narrow(tmp_path / "whole.safetensors", tmp_path / "half.safetensors")


def test_weights_of_other_images_are_trained_again(bench: Bench, shipped: Weights) -> None:
    other = bench.prepare(TwoClasses(), "train", at_most=40)
    trained = bench.train(other, weights=(shipped,))
    assert bench.reports
    assert "shipped" not in trained.meta


def test_of_several_weights_those_of_the_same_images_are_taken(
    bench: Bench, train: Artifact, trained: Artifact, shipped: Weights, tmp_path: Path
) -> None:
    other = bench.train(bench.prepare(TwoClasses(), "train", at_most=40))
    export(other, {"benchmark": "other"}, tmp_path / "other")
    key, weights = read_weights(tmp_path / "other")
    assert key == read_weights(shipped.directory)[0]
    taken = bench.train(train, weights=(weights, shipped))
    assert taken.meta["shipped"] == {"benchmark": "toy"}
    assert taken.files == trained.files


def test_weights_of_another_seed_are_trained_again(
    bench: Bench, train: Artifact, shipped: Weights
) -> None:
    trained = bench.train(train, seed=1, weights=(shipped,))
    assert "shipped" not in trained.meta


def test_damaged_weights_are_named(bench: Bench, train: Artifact, shipped: Weights) -> None:
    path = shipped.directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(PluginError, match=r"damaged: .*model\.safetensors"):
        bench.train(train, weights=(shipped,))


def test_a_card_leads_to_no_file_outside_its_folder(
    bench: Bench, train: Artifact, shipped: Weights
) -> None:
    card = json.loads((shipped.directory / CARD).read_text())
    card["files"]["../elsewhere"] = next(iter(card["files"].values()))
    with pytest.raises(PluginError, match="elsewhere"):
        bench.train(train, weights=(Weights(shipped.directory, card),))


def test_weights_that_were_taken_can_be_exported_again(
    bench: Bench, train: Artifact, shipped: Weights, tmp_path: Path
) -> None:
    taken = bench.train(train, weights=(shipped,))
    export(taken, {"benchmark": "toy"}, tmp_path / "again")
    assert (tmp_path / "again" / CARD).read_text() == (shipped.directory / CARD).read_text()
    assert tensors(taken, "model").keys()
