"""The benchmark definitions are found in a checkout and in a wheel, and say what the paper says."""

import importlib.util
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import oodbench_benchmarks
import oodbench_ganad
import oodbench_openood
from oodbench.registry.benchmarks import load_benchmark
from oodbench.registry.lookup import load_registry
from oodbench.request.datasets import make_dataset
from oodbench_datasets import oodbench_datasets

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks"
DATASETS = {
    cls.info.name: cls
    for cls in (
        *oodbench_datasets(),
        *oodbench_ganad.oodbench_datasets(),
        *oodbench_openood.oodbench_datasets(),
    )
}
PATHS = sorted(FOLDER.glob("*.toml"))
LOADED = load_registry()


def test_checkout_definitions_are_found():
    assert oodbench_benchmarks.oodbench_benchmarks() == PATHS
    assert [path.stem for path in PATHS] == [
        "cifar10-ganad",
        "cifar10-one-class",
        "cifar10-open-set",
        "cifar10",
        "cifar100",
        "digits",
        "fashionmnist-one-class",
        "fashionmnist",
        "kmnist",
        "mnist-ganad",
        "mnist-leave-one-out",
        "mnist-one-class",
        "mnist-open-set",
        "mnist",
        "openood-cifar10",
        "openood-cifar100",
        "openood-imagenet-fs",
        "openood-imagenet",
        "openood-imagenet200-fs",
        "openood-imagenet200",
        "tinyimagenet-1k",
    ]


def test_wheel_definitions_are_found_beside_the_module(tmp_path):
    source = Path(oodbench_benchmarks.__file__)
    installed = Path(shutil.copytree(source.parent, tmp_path / "site" / "oodbench_benchmarks"))
    shutil.copy(FOLDER / "mnist.toml", installed)
    spec = importlib.util.spec_from_file_location("installed", installed / source.name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.oodbench_benchmarks() == [installed / "mnist.toml"]


FOLDED = [path for path in PATHS if load_benchmark(path).folds]
PLAIN = [path for path in PATHS if path not in FOLDED]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_definition_is_named_as_its_file_and_its_id_set(path):
    benchmark = load_benchmark(path)
    assert benchmark.name == path.stem
    assert benchmark.id == path.stem.removesuffix("-ganad").removesuffix("-fs")


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_id_set_can_be_trained_on(path):
    dataset = DATASETS[load_benchmark(path).id]
    assert {"train", "test"} <= set(dataset.splits)
    assert dataset.num_classes > 1


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_ood_sets_have_a_test_split_and_differ_from_the_id_set(path):
    benchmark = load_benchmark(path)
    assert all("test" in DATASETS[name].splits for name in benchmark.ood)
    assert len({benchmark.id, *benchmark.ood}) == len(benchmark.ood) + 1


def test_mnist_is_the_papers():
    benchmark = load_benchmark(FOLDER / "mnist.toml")
    assert benchmark.ood == (
        "fashionmnist", "omniglot", "notmnist", "cifar10", "svhn", "uniform", "gaussian"
    )  # fmt: skip
    assert (benchmark.images_per_set, benchmark.calibration_images) == (10_000, 1_000)
    assert benchmark.classifier == "preact-resnet"


def test_mnist_ganad_is_mnist_with_what_the_generator_makes():
    benchmark, plain = (
        load_benchmark(FOLDER / f"{name}.toml") for name in ("mnist-ganad", "mnist")
    )
    assert set(benchmark.ood) == {*plain.ood, "ganad-fakes", "ganad-anomalies"}
    assert (benchmark.classifier, benchmark.parameters) == (plain.classifier, plain.parameters)


def test_cifar10_is_the_papers():
    benchmark = load_benchmark(FOLDER / "cifar10.toml")
    papers = ("cifar100", "mnist", "lsun", "svhn", "uniform", "gaussian")
    assert benchmark.ood == (*papers, "tinyimagenet", "textures")
    assert benchmark.classifier == "fast-convnet"


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet200", "imagenet"])
def test_openoods_sets_are_near_or_far_and_read_by_its_lists(name):
    benchmark = load_benchmark(FOLDER / f"openood-{name}.toml")
    assert [*benchmark.groups] == ["near", "far"]
    assert (*benchmark.groups["near"], *benchmark.groups["far"]) == benchmark.ood
    for each in benchmark.ood:
        dataset = DATASETS[each](**benchmark.parameters.get(each, {}))
        assert dataset.lists == name


@pytest.mark.parametrize("name", ["imagenet200", "imagenet"])
def test_the_full_spectrum_differs_by_shifted_id_images_alone(name):
    plain = load_benchmark(FOLDER / f"openood-{name}.toml")
    whole = load_benchmark(FOLDER / f"openood-{name}-fs.toml")
    assert whole.parameters.pop(whole.id) == {"shifts": ["v2", "c", "r"]}
    assert replace(whole, name=plain.name, summary=plain.summary) == plain


def test_digits_needs_no_files(tmp_path):
    benchmark = load_benchmark(FOLDER / "digits.toml")
    for name in (benchmark.id, *benchmark.ood):
        assert not DATASETS[name]().files(tmp_path, "test")


@pytest.mark.parametrize("path", FOLDED, ids=lambda path: path.stem)
def test_every_fold_divides_the_classes_of_one_set_in_two(path):
    benchmark = load_benchmark(path)
    for fold in benchmark.by_fold().values():
        sets = [make_dataset(name, LOADED) for name in (fold.id, *fold.ood)]
        labels = sorted(label for each in sets for label in each.classes.values())
        assert labels == [*range(10)]
        assert {type(each.whole) for each in sets} == {DATASETS[path.stem.split("-")[0]]}


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_open_set_splits_are_drawn_by_five_seeds(name):
    benchmark = load_benchmark(FOLDER / f"{name}-open-set.toml")
    drawn = [sorted(random.Random(seed).sample(range(10), 6)) for seed in range(5)]
    assert benchmark.folds == {"known": tuple(",".join(map(str, each)) for each in drawn)}


@pytest.mark.parametrize("name", ["mnist", "fashionmnist", "cifar10"])
def test_one_class_problems_learn_all_training_images_of_a_class(name):
    benchmark = load_benchmark(FOLDER / f"{name}-one-class.toml")
    assert (benchmark.classifier, benchmark.held_out) == ("none", 0)
    assert len(benchmark.by_fold()) == 10
