"""Classifiers are asked for by name, by a name with an argument, and by a file of weights."""

from __future__ import annotations

import os
import pickle
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import oodbench
from oodbench.cli import main
from oodbench.errors import InvalidParameter, UnknownName, UserError
from oodbench.identity.keys import digest, identify, plugin_key
from oodbench.registry.lookup import load_registry
from oodbench.request.classifiers import make_classifier, names_of, record, remake
from oodbench.request.options import Options
from oodbench.request.resolution import resolve

LOADED = load_registry()
SMALL = {"preact-resnet": {"width": 4, "epochs": 1}}

FRAGILE = """
from oodbench.contracts import Classifier, Info, hookimpl

class Fragile(Classifier):
    info = Info(name="fragile", summary="Raises when it is made.")

    def __init__(self, *, size: int = 3):
        raise OSError("no licence")

    recipe = None

    def build(self, shape, num_classes):
        raise NotImplementedError

class Unkept(Fragile):
    info = Info(name="unkept", summary="Does not keep its parameter.")

    def __init__(self, *, size: int = 3):
        pass

@hookimpl
def oodbench_classifiers():
    return [Fragile, Unkept]
"""

SAFE_TORCH = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6),
    reason="files of torch.save are refused below torch 2.6",
)


def make(name: str, arch: str | None = None, chosen=SMALL):
    return make_classifier(name, LOADED, chosen, arch)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a file of random weights for the small network on digits."""
    torch.manual_seed(3)
    return save(tmp_path / "mine.safetensors", make("preact-resnet").build((1, 8, 8), 10))


def save(path: Path, module: torch.nn.Module, **changes: torch.Tensor) -> Path:
    save_file({**module.state_dict(), **changes}, path)
    return path


def test_what_follows_the_slash_is_the_argument() -> None:
    made = make("torchvision/resnet50")
    assert (made.info.name, made.model) == ("torchvision", "resnet50")
    assert made.full_name == "torchvision/resnet50"
    assert make("torchvision").full_name == "torchvision/resnet18"
    assert make("preact-resnet").full_name == "preact-resnet"


def test_a_method_takes_the_network_of_any_classifier_with_its_parameters() -> None:
    for name in ("preact-resnet", "torchvision/resnet50", "timm/vit_tiny.x"):
        made = make(f"outlier-exposure/{name}", chosen={**SMALL, "torchvision": {"epochs": 3}})
        assert made.base.full_name == name
        assert made.full_name == f"outlier-exposure/{name}"
    assert make("outlier-exposure").base.width == 4
    assert (
        make("energy-bounded/torchvision", chosen={"torchvision": {"epochs": 3}}).recipe.epochs == 3
    )


def test_the_names_that_a_classifier_is_made_of_are_known() -> None:
    def names(name: str, arch: str | None = None, chosen=SMALL) -> list[str]:
        return names_of(name, arch, LOADED, chosen)

    assert names("preact-resnet") == ["preact-resnet"]
    assert names("timm/resnet18") == ["timm"]
    assert names("logit-norm") == ["logit-norm", "preact-resnet"]
    assert names("logit-norm/timm/resnet18") == ["logit-norm", "timm"]
    assert names("logit-norm", chosen={"logit-norm": {"network": "resnet18"}})[1:] == ["resnet18"]
    assert names("a.safetensors", "logit-norm") == ["logit-norm", "preact-resnet"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("preact-resnet/4", UnknownName, "unknown classifier 'preact-resnet/4'"),
        ("tim/resnet18", UnknownName, "unknown classifier 'tim/resnet18'"),
        ("timm/", UnknownName, "unknown classifier 'timm/'"),
        ("logit-norm/resnet81", UnknownName, "'resnet81'; did you mean 'resnet18'"),
        ("./nowhere.safetensors", UserError, "nowhere.safetensors: cannot be read: No such file"),
        pytest.param(
            *("./nowhere.pt", UserError, "nowhere.pt: cannot be read: No such file"),
            marks=SAFE_TORCH,
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, error, message) -> None:
    with pytest.raises(error, match=message):
        make(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fragile", r"classifier 'fragile' cannot be made: OSError: no licence \(broken.py:8\)"),
        ("unkept", "Unkept does not store its parameter 'size'"),
        ("logit-norm/fragile", "classifier 'fragile' cannot be made"),
    ],
)
def test_a_third_party_classifier_that_raises_is_one_sentence(
    install, tiny, tmp_path, capsys, name, reason
) -> None:
    install("broken", FRAGILE)
    with pytest.raises(UserError, match=reason):
        make_classifier(name, load_registry(), {})
    asked = ["run", "--benchmark", str(tiny), "--classifier", name, "--detectors", "msp"]
    assert main([*asked, "--store", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_arch_is_for_files_and_files_need_it(weights: Path) -> None:
    with pytest.raises(UserError, match="--arch is for files of weights"):
        make("preact-resnet", "resnet18")
    with pytest.raises(UserError, match=r"name the classifier whose network .*: --arch"):
        make(str(weights))


def test_the_key_of_a_plain_classifier_is_what_it_has_always_been() -> None:
    made = make("preact-resnet")
    assert identify(made) == plugin_key(made)


def test_the_key_of_a_method_holds_that_of_the_network() -> None:
    first, again = make("logit-norm"), make("logit-norm")
    wider = make("logit-norm", chosen={"preact-resnet": {"width": 8}})
    assert digest(identify(first)) == digest(identify(again)) != digest(identify(wider))


def test_the_key_of_a_file_is_its_content_and_not_its_place(weights: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(weights.read_bytes())
    module = make("preact-resnet").build((1, 8, 8), 10)
    other = save(tmp_path / "other.safetensors", module)
    keys = [digest(identify(make(str(path), "preact-resnet"))) for path in (weights, moved, other)]
    assert keys[0] == keys[1] != keys[2]
    assert digest(identify(make(str(weights), "preact-resnet", {}))) not in keys


def test_what_a_run_noted_down_makes_the_classifier_again(weights: Path) -> None:
    for made in (
        make("preact-resnet"),
        make("outlier-exposure/torchvision/resnet50"),
        make(str(weights), "preact-resnet"),
    ):
        again = remake(record(made), LOADED)
        assert identify(again) == identify(made)
        assert again.full_name == made.full_name


def test_a_checkpoint_is_loaded_as_it_is(weights: Path) -> None:
    from safetensors.torch import load_file

    classifier = make(str(weights), "preact-resnet")
    module = classifier.build((1, 8, 8), 10)
    assert classifier.load(module, 10)
    stored = load_file(weights)
    assert all(torch.equal(stored[name], value) for name, value in module.state_dict().items())


def test_names_of_the_librarys_own_model_are_taken_too(tmp_path: Path) -> None:
    model = "torchvision/shufflenet_v2_x0_5"
    network = make(model).build((3, 32, 32), 5).network
    path = save(tmp_path / "net.safetensors", network)
    classifier = make(str(path), model)
    module = classifier.build((3, 32, 32), 5)
    assert classifier.load(module, 5)
    assert torch.equal(module.head.weight, network.state_dict()["fc.weight"])


def broken(weights: Path, change: str) -> None:
    """Damage a file of weights in one way."""
    module = make("preact-resnet").build((1, 8, 8), 12 if change == "classes" else 10)
    state = module.state_dict()
    if change == "missing":
        del state["head.bias"]
    elif change == "unexpected":
        state["tail.bias"] = torch.zeros(1)
    elif change == "shape":
        state["norm.weight"] = torch.zeros(9)
    save_file(state, weights)
    if change == "damaged":
        weights.write_bytes(weights.read_bytes()[:100])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("missing", "does not fit preact-resnet: missing head.bias$"),
        ("unexpected", "does not fit preact-resnet: unexpected tail.bias$"),
        ("shape", r"norm.weight has shape \(9,\), not \(4,\)$"),
        ("classes", "it tells 12 classes apart, and the ID set has 10$"),
        ("damaged", "not a safetensors file"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_a_sentence(
    weights: Path, tiny: Path, tmp_path: Path, change: str, reason: str
) -> None:
    broken(weights, change)
    with pytest.raises(UserError, match=f"^{weights}: .*{reason}"):
        run(tiny, tmp_path, tmp_path, classifier=str(weights), arch="preact-resnet")


def test_a_file_that_changes_after_the_plan_is_noticed(weights: Path) -> None:
    classifier = make(str(weights), "preact-resnet")
    broken(weights, "shape")
    with pytest.raises(UserError, match="was changed since the run began"):
        classifier.load(classifier.build((1, 8, 8), 10), 10)


def run(tiny: Path, store: Path, folder: Path, **options):
    return oodbench.run(
        benchmark=str(tiny),
        detectors=options.pop("detectors", ["msp"]),
        store=store,
        out=folder / "run",
        engine="inline",
        device="cpu",
        **options,
    )


def test_a_run_protects_the_users_own_network(weights, tiny, store, tmp_path) -> None:
    found = run(tiny, store, tmp_path, classifier=str(weights), arch="preact-resnet")
    assert set(found.records["classifier"]) == {"mine.safetensors"}
    assert set(found.records["status"]) == {"ok"}
    noted = found.info["request"]["classifier"]["mine.safetensors"]
    assert noted["base"]["preact-resnet"]["width"] == 4
    assert found.info["plugins"]["preact-resnet"].startswith("oodbench ")


def test_a_users_weights_with_a_nan_end_the_run_in_a_sentence(weights, tiny, store, tmp_path):
    state = load_file(weights)
    state["head.bias"][3] = float("nan")
    save_file(state, weights)
    message = r"^mine.safetensors: 1 of its .* weights are NaN or infinite \(head.bias\)"
    with pytest.raises(UserError, match=message):
        run(tiny, store, tmp_path, classifier=str(weights), arch="preact-resnet")


def test_detectors_are_tuned_on_the_users_own_network(
    weights, tiny, store, one_cpu, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["tune", "--detectors", "energy", "--images", "60", "--engine", "inline"]
    asked += ["--out", "a.toml", "--benchmark", str(tiny), "--store", str(store)]
    assert main([*asked, "--classifier", "mine.safetensors"]) == 2
    assert "name the classifier whose network these weights belong to: --arch" in (
        capsys.readouterr().err
    )
    assert main([*asked, "--classifier", "mine.safetensors", "--arch", "preact-resnet"]) == 0
    assert "--arch preact-resnet" in capsys.readouterr().out.splitlines()[-1]


EXPOSED = {"outlier-exposure": {"outliers": "glyphs"}}


def test_a_run_with_outlier_exposure_says_so(tiny, store, tmp_path) -> None:
    found = run(tiny, store, tmp_path, classifier="outlier-exposure", parameters=EXPOSED)
    assert set(found.records["classifier"]) == {"outlier-exposure/preact-resnet"}
    assert set(found.records["status"]) == {"ok"}
    assert found.info["notes"] == {}


def test_an_ood_set_that_the_classifier_learned_from_is_refused(tiny, tmp_path) -> None:
    options = Options(benchmark=str(tiny), classifier="outlier-exposure", data=tmp_path)
    with pytest.raises(UserError, match="would learn from the images of 'photo-patches' that are"):
        resolve(options, LOADED)


def test_id_images_are_no_outliers(tiny, tmp_path) -> None:
    chosen = {"outlier-exposure": {"outliers": "digits"}}
    options = Options(
        benchmark=str(tiny), classifier="outlier-exposure", parameters=chosen, data=tmp_path
    )
    with pytest.raises(UserError, match="would learn that the ID images of 'digits' are outliers"):
        resolve(options, LOADED)


def test_other_images_of_a_tested_set_and_planted_copies_are_marked(tiny, store, tmp_path) -> None:
    import numpy as np

    data = tmp_path / "data"
    data.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (90, 28, 28), dtype=np.uint8)
    labels = np.zeros(len(images), dtype=np.int64)
    np.savez(data / "svhn-train.npz", images=images[:60], labels=labels[:60])
    np.savez(data / "svhn-test.npz", images=images[50:], labels=labels[50:])
    found = run(
        tiny,
        store,
        tmp_path,
        data=data,
        ood=["uniform", "svhn"],
        classifier="outlier-exposure",
        parameters={"outlier-exposure": {"outliers": "svhn"}},
    )
    assert found.info["notes"] == {
        "SVHN-bw": "the classifier learned to reject its train images; "
        "the classifier learned to reject 10 of these very images"
    }


def test_parameters_of_the_network_are_those_of_the_benchmark(tiny, tmp_path) -> None:
    options = Options(
        benchmark=str(tiny),
        classifier="logit-norm",
        parameters={"preact-resnet": {"epochs": "2"}, "logit-norm": {"temperature": "0.1"}},
        detectors=["msp"],
        data=tmp_path,
    )
    classifier = resolve(options, LOADED).request.classifier
    assert (classifier.base.width, classifier.base.epochs, classifier.temperature) == (4, 2, 0.1)


def test_a_parameter_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"torchvision.epochs = 'many'"):
        make("torchvision/resnet18", chosen={"torchvision": {"epochs": "many"}})


NESTS = {
    "plain": lambda state: state,
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "under model": lambda state: {"model": state, "accuracy": 0.5},
}


@SAFE_TORCH
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("prefix", ["", "module.", "module.model.", "backbone."])
def test_what_torch_saved_is_read(tmp_path: Path, nest: str, prefix: str) -> None:
    made = make("preact-resnet").build((1, 8, 8), 10)
    state = {prefix + name: value for name, value in made.state_dict().items()}
    torch.save(NESTS[nest](state), tmp_path / "mine.pth")
    classifier = make(str(tmp_path / "mine.pth"), "preact-resnet")
    module = classifier.build((1, 8, 8), 10)
    assert classifier.load(module, 10)
    assert torch.equal(module.head.weight, made.head.weight)
    said = f"'{prefix}' was left out in front of the names of the weights" if prefix else ""
    assert classifier.note == said


def refused(path: Path) -> str:
    """Return why a file of weights is refused, one sentence of characters that can be printed."""
    classifier = make(str(path), "preact-resnet")
    with pytest.raises(UserError) as caught:
        classifier.load(classifier.build((1, 8, 8), 10), 10)
    message = str(caught.value)
    assert message.isprintable()
    assert "weights_only" not in message
    return message.removeprefix(f"{path}: ")


class Calls:
    """Asks whoever reads it to run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@SAFE_TORCH
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"state_dict": 3}, "there is no state dictionary in it"),
        ([1, 2], "there is no state dictionary in it"),
        (
            torch.nn.Linear(2, 2),
            "holds an object of class torch.nn.modules.linear.Linear",
        ),
        ({"state_dict": {}, "args": Namespace()}, "holds an object of class argparse.Namespace"),
        (Calls(), f"holds an object of class {os.system.__module__}.system"),
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_torch_saved_besides_weights_is_refused(
    tmp_path: Path, content: object, reason: str, is_zip: bool
) -> None:
    path = tmp_path / "mine.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    message = refused(path)
    assert message.startswith(reason)
    assert message.endswith("; save network.state_dict() by torch.save")


@SAFE_TORCH
@pytest.mark.parametrize("content", [b"", b"epoch: 3\n", pickle.dumps({"a": 1}), b"PK\x03\x04"])
def test_what_torch_did_not_save_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    assert refused(path).startswith("not a file of torch.save, or damaged; save")


@SAFE_TORCH
def test_names_in_a_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"\x1b[31mred\n": torch.zeros(1)}, path)
    assert "unexpected [31mred" in refused(path)
    path.write_bytes(b"\x80\x02c__main__\n\x1b[31mred\n)R.")
    assert refused(path).startswith("holds an object of class __main__. [31mred, not only")


def test_an_old_torch_reads_no_pickled_file(tmp_path: Path, monkeypatch) -> None:
    torch.save({}, tmp_path / "mine.pth")
    monkeypatch.setattr("oodbench.request.user_weights.version", lambda name: "2.5.1")
    with pytest.raises(UserError, match=r"install torch 2\.6 or later, or save .*safetensors"):
        make(str(tmp_path / "mine.pth"), "preact-resnet")
