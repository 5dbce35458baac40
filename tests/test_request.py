"""What a user asks for is resolved to plugins, data and parameters, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_detectors import Brightness, HidesParameter, RaisesInParts, RaisesWhenMade

from oodbench import registry
from oodbench.errors import InvalidData, InvalidParameter, UnknownName, UserError
from oodbench.request import Options, Resolved, resolve

LOADED = registry.load()


@pytest.fixture
def ask(tmp_path: Path, tiny: Path):
    """Return a function that resolves options; by default msp on the tiny benchmark."""

    def resolve_options(**options: Any) -> Resolved:
        if not {"id", "benchmark"} & set(options):
            options["benchmark"] = str(tiny)
        defaults = {"detectors": ["msp"], "data": tmp_path / "data", "download": False}
        return resolve(Options(**{**defaults, "device": "cpu", **options}), LOADED)

    return resolve_options


def write_pack(path: Path, labels: list[int]) -> str:
    images = np.full((len(labels), 8, 8), 7, dtype=np.uint8)
    np.savez(path, images=images, labels=np.array(labels))
    return str(path)


def titles(resolved: Resolved) -> list[str]:
    return resolved.request.titles()


def test_a_benchmark_is_asked_for_by_the_path_of_its_definition(ask) -> None:
    resolved = ask()
    assert resolved.benchmark.name == "tiny"
    assert titles(resolved) == ["Digits", "Uniform", "PhotoPatches-bw"]
    assert resolved.request.classifier.info.name == "preact-resnet"
    assert resolved.request.images_per_set == 200
    assert resolved.request.calibration_images == 100


@pytest.mark.parametrize("options", [{"id": "digits"}, {"benchmark": "digits"}])
def test_a_benchmark_is_asked_for_by_name(ask, options: dict) -> None:
    assert ask(**options).benchmark.name == "digits"


def test_the_definition_may_be_given_as_id(ask, tiny: Path) -> None:
    assert ask(id=str(tiny)).benchmark.name == "tiny"


def test_ood_sets_are_replaced_in_the_order_asked_for(ask) -> None:
    assert titles(ask(ood=["gaussian", "uniform"])) == ["Digits", "Gaussian", "Uniform"]


def test_an_id_set_without_benchmark_needs_ood_sets_and_a_classifier(ask, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pack(tmp_path / f"mine-{split}.npz", [0, 1])
    path = str(tmp_path / "mine")
    with pytest.raises(UserError, match=r"no benchmark for the ID set '.*mine'.*--ood.*--class"):
        ask(id=path)
    resolved = ask(id=path, ood=["uniform"], classifier="preact-resnet")
    assert titles(resolved) == ["mine", "Uniform"]
    assert resolved.benchmark.name == "mine"
    assert resolved.request.shape == (1, 8, 8)


def test_id_and_classifier_of_a_benchmark_can_be_replaced(ask, tmp_path: Path, tiny: Path) -> None:
    for split in ("train", "test"):
        write_pack(tmp_path / f"mine-{split}.npz", [0, 1])
    resolved = ask(benchmark=str(tiny), id=str(tmp_path / "mine"), classifier="wideresnet16-4")
    assert titles(resolved) == ["mine", "Uniform", "PhotoPatches-bw"]
    assert resolved.request.classifier.info.name == "wideresnet16-4"


def test_noise_is_drawn_in_the_geometry_of_the_id_set(ask) -> None:
    assert ask(ood=["uniform"]).request.ood[0].dataset.shape == (1, 8, 8)


def test_a_set_that_cannot_be_had_is_named_and_the_rest_goes_on(ask) -> None:
    resolved = ask(ood=["svhn", "uniform"])
    assert titles(resolved) == ["Digits", "Uniform"]
    assert list(resolved.missing) == ["SVHN-bw"]
    assert "svhn-test.npz" in resolved.missing["SVHN-bw"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"id": "minst"}, UnknownName, "unknown benchmark or ID data set 'minst'; did you mean"),
        ({"benchmark": "minst"}, UnknownName, "unknown benchmark 'minst'; did you mean 'mnist'"),
        ({"benchmark": "./no.toml"}, UserError, r"no\.toml: cannot be read"),
        ({"id": None}, UserError, "name a benchmark or an ID data set"),
        ({"id": "./nowhere", "ood": ["uniform"], "classifier": "preact-resnet"}, UserError, "nowh"),
        ({"ood": ["svhn"]}, UserError, r"no OOD set can be had: .*svhn-test\.npz"),
        ({"ood": ["unifrom"]}, UnknownName, "unknown data set 'unifrom'; did you mean 'uniform'"),
        ({"ood": ["digits"]}, UserError, "two data sets are called Digits: 'digits' and 'digits'"),
        ({"ood": ["uniform", "uniform"]}, UserError, "two data sets are called Uniform"),
        ({"classifier": "resnet"}, UnknownName, "unknown classifier 'resnet'; did you mean"),
        ({"detectors": ["enrgy"]}, UnknownName, "unknown detector 'enrgy'; did you mean 'energy'"),
        ({"detectors": []}, UserError, "name at least one detector"),
        ({"seeds": 0}, UserError, "seeds must be a number of at least 1"),
        ({"seeds": [1, 1]}, UserError, "seeds must be .* different numbers"),
        ({"seeds": [-1]}, UserError, "seeds must be .* from 0 up"),
        ({"classifier_seeds": []}, UserError, "classifier seeds must be"),
        ({"batch_size": 0}, UserError, "the batch size must be at least 1, not 0"),
        ({"parameters": {"mps": {"temperature": 1}}}, UnknownName, "'mps'; did you mean 'msp'"),
        ({"parameters": {"energy": {"temperature": 1}}}, UnknownName, "unknown plugin in this run"),
        ({"parameters": {"msp": {"temprature": 1}}}, UnknownName, "did you mean 'temperature'"),
        ({"parameters": {"msp": {"temperature": "x"}}}, InvalidParameter, "msp.temperature = 'x'"),
        ({"parameters": {"msp": {"temperature": "0"}}}, InvalidParameter, "greater than 0"),
        ({"parameters": {"uniform": {"count": "-1"}}}, InvalidParameter, "count"),
    ],
)
def test_what_cannot_be_served_is_refused(ask, options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        ask(**options)
    assert "\n" not in str(caught.value)


def test_a_damaged_pack_is_an_error_and_not_a_missing_set(ask, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "svhn-test.npz").write_bytes(b"PK truncated")
    with pytest.raises(InvalidData, match=r"svhn-test\.npz"):
        ask(ood=["svhn", "uniform"])


def test_parameters_of_the_benchmark_are_overridden_by_those_asked_for(ask) -> None:
    classifier = ask(parameters={"preact-resnet": {"width": "8"}}).request.classifier
    assert (classifier.width, classifier.epochs) == (8, 1)


def test_data_sets_take_parameters(ask) -> None:
    resolved = ask(parameters={"uniform": {"count": "300"}})
    assert resolved.request.ood[0].dataset.count == 300


@pytest.mark.parametrize(
    ("seeds", "expected"), [(3, (0, 1, 2)), ([0, 3, 7], (0, 3, 7)), ((5,), (5,))]
)
def test_a_number_of_seeds_means_the_first_ones(ask, seeds, expected) -> None:
    request = ask(seeds=seeds, classifier_seeds=seeds).request
    assert (request.seeds, request.classifier_seeds) == (expected, expected)


def test_all_asks_for_every_registered_detector(ask) -> None:
    assert list(ask(detectors=["all"]).request.detectors) == list(LOADED.detectors)


def test_objects_and_names_are_taken_together(ask) -> None:
    mine = Brightness(scale=2)
    assert ask(detectors=["energy", mine]).request.detectors["brightness"] is mine


def test_two_objects_of_one_name_are_refused(ask) -> None:
    with pytest.raises(UserError, match="two detectors are called 'brightness'"):
        ask(detectors=[Brightness(), Brightness(scale=2)])


def test_an_object_is_set_up_where_it_is_made(ask) -> None:
    with pytest.raises(InvalidParameter, match="'brightness' was given as an object"):
        ask(detectors=[Brightness()], parameters={"brightness": {"scale": 2}})


def test_what_installed_each_plugin_is_known(ask) -> None:
    found = ask().distributions
    assert set(found) == {"msp", "preact-resnet", "digits", "uniform", "photo-patches"}
    assert found["msp"].startswith("oodbench ")


@pytest.mark.parametrize(
    ("detector", "reason"),
    [
        (HidesParameter(), "PluginError: HidesParameter does not store its parameter 'hidden'"),
        (RaisesInParts(), "LookupError: no parts"),
        (Brightness(scale=object()), "TypeError: a object cannot be part of a key"),
    ],
)
def test_a_detector_that_cannot_be_planned_is_broken_alone(ask, detector, reason: str) -> None:
    resolved = ask(detectors=["msp", detector])
    assert list(resolved.request.detectors) == ["msp"]
    assert resolved.broken[detector.info.name].startswith(reason)


def test_a_detector_that_cannot_be_made_is_broken_alone(tmp_path: Path, tiny: Path) -> None:
    loaded = registry.load()
    plugin = loaded.detectors["msp"].plugin
    name = RaisesWhenMade.info.name
    loaded.detectors.add(registry.Entry(name, "detector", plugin, RaisesWhenMade))
    options = Options(benchmark=str(tiny), detectors=["msp", name], data=tmp_path)
    resolved = resolve(options, loaded)
    assert list(resolved.request.detectors) == ["msp"]
    assert resolved.broken[name].startswith("RuntimeError: no licence")


def test_a_detector_whose_plugin_cannot_be_imported_is_broken_alone(
    install, tmp_path, tiny
) -> None:
    install("lost", 'import not_installed\nname = "wanted"')
    options = Options(benchmark=str(tiny), detectors=["wanted", "msp"], data=tmp_path)
    resolved = resolve(options, registry.load())
    assert list(resolved.request.detectors) == ["msp"]
    assert "No module named 'not_installed'" in resolved.broken["wanted"]


def test_a_gpu_that_is_not_there_is_refused(ask) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="--device cuda: torch finds no GPU"):
        ask(device="cuda")
