"""What a user asks for is resolved to plugins, data and parameters, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_detectors import Brightness, HidesParameter, RaisesInParts, RaisesWhenMade, info

from oodbench.contracts import Need
from oodbench.errors import DataUnavailable, InvalidData, InvalidParameter, UnknownName, UserError
from oodbench.plan.planning import make_plan
from oodbench.registry.lookup import Entry, load_registry
from oodbench.request.classifiers import make_classifier
from oodbench.request.datasets import make_dataset
from oodbench.request.options import Options
from oodbench.request.resolution import Resolved, resolve

LOADED = load_registry()


LOST = """
from oodbench.contracts import Dataset, Info, hookimpl

class LostShelf(Dataset):
    info = Info(name="lost-shelf", summary="Raises when it is asked for its files.")
    shape = (1, 8, 8)

    def files(self, root, split):
        raise RuntimeError("no shelf")

    def load(self, root, split):
        raise NotImplementedError

class LostLicence(LostShelf):
    info = Info(name="lost-licence", summary="Raises when it is made.")

    def __init__(self):
        raise OSError("no licence")

class LostShape(LostShelf):
    info = Info(name="lost-shape", summary="Raises when it is fitted.")

    def fitted(self, shape):
        raise ArithmeticError("no shape")

class LostChannels(LostShelf):
    info = Info(name="lost-channels", summary="Declares half a shape.")
    shape = (8, 8)

@hookimpl
def oodbench_datasets():
    return [LostShelf, LostLicence, LostShape, LostChannels]
"""


class ListsNeeds(Brightness):
    info = info("lists-needs")
    needs = [Need.LOGITS]  # noqa: RUF012 (what it is refused for)


class NamesNeeds(Brightness):
    info = info("names-needs")
    fit_needs = frozenset({"logits"})


class LearnsFrom(Brightness):
    info = info("learns-from")

    def __init__(self, *, other: str) -> None:
        self.other = other

    def auxiliary(self):
        return self.other


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


def test_fewer_images_than_the_benchmarks_are_asked_for(ask) -> None:
    assert ask(images=20).request.images_per_set == 20
    with pytest.raises(UserError, match="a set needs at least 1 image, not 0"):
        ask(images=0)


def test_validation_images_are_held_out_of_the_training_images(ask) -> None:
    for options, count in (({}, 100), ({"validation_images": 30}, 30)):
        request = ask(**options).request
        shares = [
            each.positions(each.load().labels) for each in (request.validation, request.train)
        ]
        assert [len(share) for share in shares] == [count, 1201 - count]
        assert not set(shares[0]) & set(shares[1])
    request = ask(validation_images=0).request
    assert (request.validation, request.train.share) == (None, None)
    with pytest.raises(UserError, match="-1 images cannot be held out"):
        ask(validation_images=-1)


def validated_by(place: str, tiny: Path, folder: Path) -> str:
    """Write the tiny benchmark with a set of validation images of its own; return the path."""
    path = folder / "validated.toml"
    path.write_text(f'validation_set = "{place}"\n{tiny.read_text()}')
    return str(path)


def test_a_benchmark_may_name_a_set_of_validation_images(ask, tiny: Path, tmp_path: Path) -> None:
    own = write_pack(tmp_path / "own.npz", [0, 1, 2])
    resolved = ask(benchmark=validated_by(own, tiny, tmp_path))
    request = resolved.request
    assert request.validation.load().labels.tolist() == [0, 1, 2]
    assert request.train.share is None
    assert resolved.benchmark.held_out == 0
    asked = ask(benchmark=validated_by(own, tiny, tmp_path), validation_images=10).request
    assert asked.validation.share is not None


def test_without_that_set_detectors_that_need_it_are_left_out(ask, tiny, tmp_path) -> None:
    benchmark = validated_by("openood-cifar10-validation", tiny, tmp_path)
    resolved = ask(benchmark=benchmark, detectors=["msp", "klmatching"])
    assert list(resolved.request.detectors) == ["msp"]
    assert resolved.broken["klmatching"].startswith(
        "it is fitted on validation images, and data set 'openood-cifar10-validation' is not in"
    )
    assert resolved.request.train.share is None


def test_validation_images_that_are_tested_are_refused(ask, tiny, tmp_path) -> None:
    benchmark = validated_by("uniform", tiny, tmp_path)
    with pytest.raises(UserError, match="images of 'uniform' are trained on or tested"):
        ask(benchmark=benchmark)


@pytest.mark.parametrize("options", [{"id": "digits"}, {"benchmark": "digits"}])
def test_a_benchmark_is_asked_for_by_name(ask, options: dict) -> None:
    assert ask(**options).benchmark.name == "digits"


def test_the_definition_may_be_given_as_id(ask, tiny: Path) -> None:
    assert ask(id=str(tiny)).benchmark.name == "tiny"


def test_ood_sets_are_replaced_in_the_order_asked_for(ask) -> None:
    assert titles(ask(ood=["gaussian", "uniform"])) == ["Digits", "Gaussian", "Uniform"]


GROUPED = """
name = "grouped"
id = "digits"
ood = ["svhn", "uniform", "photo-patches", "gaussian", "glyphs"]
classifier = "preact-resnet"
[groups]
near = ["glyphs", "photo-patches"]
far = ["uniform"]
absent = ["svhn"]
"""


@pytest.fixture
def grouped(tmp_path: Path) -> str:
    path = tmp_path / "grouped.toml"
    path.write_text(GROUPED)
    return str(path)


def test_groups_have_the_titles_of_what_was_found(ask, grouped: str) -> None:
    assert ask(benchmark=grouped).groups == {
        "near": ("Glyphs", "PhotoPatches-bw"),
        "far": ("Uniform",),
    }


def test_groups_keep_those_of_their_sets_that_are_asked_for(ask, grouped: str) -> None:
    resolved = ask(benchmark=grouped, ood=["gaussian", "glyphs"])
    assert resolved.groups == {"near": ("Glyphs",)}


def test_groups_keep_users_images_and_leave_out_what_raises(
    install, tmp_path: Path, grouped: str
) -> None:
    install("lost", LOST)
    pack = write_pack(tmp_path / "mine.npz", [0, 1])
    names = f'["lost-licence", "{pack}", "lost-shelf"]'
    Path(grouped).write_text(
        'name = "grouped"\nid = "digits"\nclassifier = "preact-resnet"\n'
        f"ood = {names}\n[groups]\nnear = {names}\n"
    )
    options = Options(benchmark=grouped, detectors=["msp"], data=tmp_path)
    assert resolve(options, load_registry()).groups == {"near": ("mine",)}


def test_an_id_set_without_benchmark_needs_ood_sets_and_a_classifier(ask, tmp_path: Path) -> None:
    for split, labels in (("train", [0, 1]), ("test", [1, 0])):
        write_pack(tmp_path / f"mine-{split}.npz", labels)
    path = str(tmp_path / "mine")
    with pytest.raises(UserError, match=r"no benchmark for the ID set '.*mine'.*--ood.*--class"):
        ask(id=path)
    with pytest.raises(UserError, match=r"'; name OOD sets by --ood NAME,\.\.\.$"):
        ask(id=path, classifier="none")
    with pytest.raises(UserError, match=r"'; name a classifier by .*, preact-resnet, .* or none$"):
        ask(id=path, ood=["uniform"])
    with pytest.raises(UserError, match=r"nowhere: neither an .* file nor a folder of images"):
        ask(id="./nowhere")
    resolved = ask(id=path, ood=["uniform"], classifier="preact-resnet")
    assert titles(resolved) == ["mine", "Uniform"]
    assert resolved.benchmark.name == "mine"
    assert resolved.request.shape == (1, 8, 8)


def test_id_and_classifier_of_a_benchmark_can_be_replaced(ask, tmp_path: Path, tiny: Path) -> None:
    for split, labels in (("train", [0, 1]), ("test", [1, 0])):
        write_pack(tmp_path / f"mine-{split}.npz", labels)
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
        ({"ood": ["svhn"]}, UserError, r"no OOD set is available: .*svhn-test\.npz"),
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classifier": "resnet"}, "unknown classifier 'resnet'"),
        ({"parameters": {"preact-resnet": {"width": "wide"}}}, r"preact-resnet\.width = 'wide'"),
        ({"parameters": {"uniform": {"count": "-1"}}}, "count"),
        ({"ood": ["unifrom"]}, "unknown data set 'unifrom'"),
        ({"seeds": 0}, "seeds must be"),
        ({"classifier_seeds": [1, 1]}, "classifier seeds must be"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"precision": "half"}, "unknown precision 'half'"),
    ],
)
def test_a_slip_is_found_before_images_are_looked_for(ask, options: dict, message: str) -> None:
    absent = {"id": "mnist", "ood": ["uniform"], "classifier": "preact-resnet"}
    with pytest.raises(DataUnavailable, match="'mnist' is not in"):
        ask(**absent)
    with pytest.raises(UserError, match=message):
        ask(**{**absent, **options})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lost-shelf", "cannot name its files: RuntimeError: no shelf (lost.py:9)"),
        ("lost-licence", "cannot be made: OSError: no licence (lost.py:18)"),
        ("lost-shape", "cannot be made: ArithmeticError: no shape (lost.py:24)"),
    ],
)
def test_an_ood_set_that_raises_is_left_out(install, tmp_path, tiny, name, reason) -> None:
    install("lost", LOST)
    options = Options(benchmark=str(tiny), ood=[name, "uniform"], detectors=["msp"], data=tmp_path)
    resolved = resolve(options, load_registry())
    assert titles(resolved) == ["Digits", "Uniform"]
    assert resolved.missing == {name: f"data set '{name}' {reason}"}


def test_an_ood_set_of_half_a_shape_is_left_out(install, tmp_path, tiny) -> None:
    install("lost", LOST)
    options = Options(
        benchmark=str(tiny), ood=["lost-channels", "uniform"], detectors=["msp"], data=tmp_path
    )
    reason = resolve(options, load_registry()).missing["lost-channels"]
    assert reason.startswith("LostChannels.shape is (8, 8); it must be (c, h, w)")


@pytest.mark.parametrize("name", ["lost-shelf", "lost-licence", "lost-shape"])
def test_a_detector_whose_auxiliary_set_raises_is_broken_alone(
    install, tmp_path, tiny, name
) -> None:
    install("lost", LOST)
    options = Options(benchmark=str(tiny), detectors=["msp", LearnsFrom(other=name)], data=tmp_path)
    resolved = resolve(options, load_registry())
    assert list(resolved.request.detectors) == ["msp"]
    assert resolved.broken["learns-from"].startswith(f"data set '{name}' cannot")


def test_an_auxiliary_set_that_is_not_there_breaks_its_detector_alone(ask) -> None:
    resolved = ask(detectors=["msp", LearnsFrom(other="svhn")])
    assert list(resolved.request.detectors) == ["msp"]
    assert "svhn-train.npz" in resolved.broken["learns-from"]


class HasLearner(Brightness):
    info = info("has-learner")

    def __init__(self, *, other: str = "photo-patches") -> None:
        self.other = other

    def parts(self):
        return {"learner": LearnsFrom(other=self.other)}


def test_the_auxiliary_set_of_a_part_is_found(ask) -> None:
    resolved = ask(detectors=[HasLearner(other="glyphs")])
    assert list(resolved.request.auxiliary) == ["glyphs"]
    assert make_plan(resolved.request).jobs


def test_the_auxiliary_set_of_a_part_that_is_tested_is_refused(ask) -> None:
    with pytest.raises(UserError, match="has-learner would learn from the images of 'uniform'"):
        ask(detectors=[HasLearner(other="uniform")])


def test_an_auxiliary_set_that_is_tested_is_refused(ask) -> None:
    with pytest.raises(UserError, match="learns-from would learn from the images of 'uniform'"):
        ask(detectors=[LearnsFrom(other="uniform")])


def test_a_damaged_pack_is_an_error_and_not_a_missing_set(ask, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "svhn-test.npz").write_bytes(b"PK truncated")
    with pytest.raises(InvalidData, match=r"svhn-test\.npz"):
        ask(ood=["svhn", "uniform"])


def test_parameters_of_the_benchmark_are_overridden_by_those_asked_for(ask) -> None:
    classifier = ask(parameters={"preact-resnet": {"width": "8"}}).request.classifier
    assert (classifier.width, classifier.epochs) == (8, 1)


def with_parameters(tiny: Path, folder: Path, name: str) -> str:
    """Write a definition that also sets parameters of a plugin; return its path."""
    path = folder / "more.toml"
    path.write_text(tiny.read_text() + f"[parameters.{name}]\ntemperature = 2\n")
    return str(path)


@pytest.mark.parametrize("name", ["preact-resent", "enegry", "unifrom"])
def test_a_slip_in_a_name_that_a_benchmark_sets_parameters_of_is_found(
    ask, tiny: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UnknownName, match=f"unknown plugin '{name}'; did you mean .* 'tiny'"):
        ask(benchmark=with_parameters(tiny, tmp_path, name))


@pytest.mark.parametrize("name", ["anogan", "ganomaly", "energy", "a-strangers"])
def test_parameters_of_plugins_that_take_no_part_are_ignored(
    ask, tiny: Path, tmp_path: Path, name: str
) -> None:
    resolved = ask(benchmark=with_parameters(tiny, tmp_path, name))
    assert list(resolved.request.detectors) == ["msp"]


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
    resolved = ask(detectors=["all"], classifier_seeds=2)
    assert sorted([*resolved.request.detectors, *resolved.broken]) == list(LOADED.detectors)
    assert all("is not in" in reason for reason in resolved.broken.values())  # images to learn from


def test_of_one_classifier_an_ensemble_is_asked_for_by_its_name_alone(ask) -> None:
    ensembles = {"ensemble", "ensemble-information"}
    assert not ensembles & ask(detectors=["all"]).request.detectors.keys()
    assert ask(detectors=["all-ensemble"]).request.detectors.keys() == ensembles
    assert "ensemble" in ask(detectors=["ensemble"]).request.detectors


def test_a_family_of_detectors_is_asked_for_by_its_name(ask) -> None:
    found = ask(detectors=["all-shortcut"]).request.detectors
    assert {"brightness", "compressed-size"} <= found.keys()
    assert {detector.family for detector in found.values()} == {"shortcut"}


def test_a_family_that_is_not_there_is_refused(ask) -> None:
    with pytest.raises(UnknownName, match="'all-posthok'; did you mean 'all-posthoc'"):
        ask(detectors=["all-posthok"])


def test_a_detector_that_a_plugin_cannot_bring_is_broken_with_the_reason(ask) -> None:
    resolved = ask(detectors=["mcm", "msp"])
    assert list(resolved.request.detectors) == ["msp"]
    assert "embeddings of the classes' names" in resolved.broken["mcm"]


def test_objects_and_names_are_taken_together(ask) -> None:
    mine = Brightness(scale=2)
    assert ask(detectors=["energy", mine]).request.detectors["brightness"] is mine


@pytest.mark.parametrize("other", [Brightness(), "brightness"])
def test_two_detectors_of_one_name_are_refused(ask, other) -> None:
    with pytest.raises(UserError, match="two detectors are called 'brightness'"):
        ask(detectors=[Brightness(scale=2), other])


@pytest.mark.parametrize("asked", ["all-shortcut", "all"])
def test_a_family_does_not_take_the_place_of_an_object(ask, asked: str) -> None:
    mine = Brightness(scale=2)
    for detectors in ([mine, asked], [asked, mine]):
        found = ask(detectors=detectors).request.detectors
        assert found["brightness"] is mine
        assert len(found) > 1


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
        (ListsNeeds(), "PluginError: ListsNeeds.needs must be a frozenset of Need, not [<Need.LO"),
        (NamesNeeds(), "PluginError: NamesNeeds.fit_needs must be a frozenset of Need, not froz"),
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
    loaded = load_registry()
    plugin = loaded.detectors["msp"].plugin
    name = RaisesWhenMade.info.name
    loaded.detectors.add(Entry(name, "detector", plugin, RaisesWhenMade))
    options = Options(benchmark=str(tiny), detectors=["msp", name], data=tmp_path)
    resolved = resolve(options, loaded)
    assert list(resolved.request.detectors) == ["msp"]
    assert resolved.broken[name].startswith("RuntimeError: no licence")


def test_a_detector_whose_plugin_cannot_be_imported_is_broken_alone(
    install, tmp_path, tiny
) -> None:
    install("lost", 'import not_installed\nname = "wanted"')
    options = Options(benchmark=str(tiny), detectors=["wanted", "msp"], data=tmp_path)
    resolved = resolve(options, load_registry())
    assert list(resolved.request.detectors) == ["msp"]
    assert "No module named 'not_installed'" in resolved.broken["wanted"]


def test_a_gpu_that_is_not_there_is_refused(ask) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="--device cuda: torch finds no GPU"):
        ask(device="cuda")


FLIPPING = [
    "fast-convnet",
    "quick-convnet",
    "resnet18",
    "wideresnet16-4",
    "timm/resnet18",
    "torchvision/resnet18",
]


@pytest.mark.parametrize("name", [*FLIPPING, "logit-norm/resnet18"])
def test_a_classifier_mirrors_images_where_the_id_set_keeps_its_classes(name: str) -> None:
    made = make_classifier(name, LOADED, {})
    for id_set, flip in (("digits", False), ("mnist", False), ("svhn", False), ("cifar10", True)):
        assert made.suited(make_dataset(id_set, LOADED)).flip is flip
    assert made.flip is None


@pytest.mark.parametrize("flip", [True, False])
def test_a_user_may_ask_for_mirrored_images(ask, flip: bool) -> None:
    chosen = {"resnet18": {"flip": str(flip)}}
    resolved = ask(id="digits", detectors=["msp"], classifier="resnet18", parameters=chosen)
    assert resolved.request.classifier.flip is flip


def test_without_being_asked_digits_are_not_mirrored(ask) -> None:
    resolved = ask(id="digits", detectors=["msp"], classifier="resnet18")
    assert resolved.request.classifier.flip is False


def test_classes_of_a_set_serve_as_id_and_as_ood_set(ask) -> None:
    resolved = ask(id="digits[0-5]", ood="digits[6-9],uniform", classifier="preact-resnet")
    assert resolved.benchmark.name == "digits-0-5"
    assert titles(resolved) == ["Digits, classes 0-5", "Digits, classes 6-9", "Uniform"]
    assert resolved.request.train.dataset.num_classes == 6


def test_classes_take_the_place_of_a_benchmarks_id_set(ask, tiny: Path) -> None:
    resolved = ask(benchmark=str(tiny), id="digits[!3]", ood=["digits[3]"])
    assert titles(resolved) == ["Digits, all but class 3", "Digits, class 3"]


def test_parameters_of_a_set_hold_for_its_classes(ask) -> None:
    turned = {"rotated-digits": {"quarter_turns": 3}}
    options = {"id": "digits[0-5]", "classifier": "preact-resnet"}
    resolved = ask(**options, ood=["rotated-digits[6-9]"], parameters=turned)
    assert resolved.request.ood[0].dataset.whole.quarter_turns == 3


@pytest.mark.parametrize("known", ["digits[0-5]", "digits"])
def test_classes_that_are_id_classes_are_refused_as_ood_set(ask, known: str) -> None:
    with pytest.raises(UserError, match="the OOD set 'Digits, class 4' holds ID images"):
        ask(id=known, ood=["digits[4]"], classifier="preact-resnet")


def test_classes_under_two_names_are_refused(ask) -> None:
    with pytest.raises(UserError, match="are the same images; name one of them"):
        ask(id="digits[0-5]", ood="digits[6-9],digits[!0-5]", classifier="preact-resnet")
