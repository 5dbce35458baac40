"""The command line does what the library does, and answers a mistake with one sentence."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from oodbench.cli import main

OODBENCH = Path(sysconfig.get_path("scripts")) / "oodbench"

DETECTORS = Path(__file__).parents[1].joinpath("sample_detectors.py").read_text(encoding="utf-8")


@pytest.fixture
def oodbench(tmp_path: Path, tiny: Path, store: Path, one_cpu, capsys, monkeypatch):
    """Return a function that runs a command line and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OODBENCH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(line: str) -> tuple[int, str, str]:
        line = line.replace("TINY", f"--benchmark {tiny} --store {store} --engine inline")
        try:
            code = main(line.split())
        except SystemExit as error:  # argparse ends the process itself
            code = error.code
        return code, *capsys.readouterr()

    return call


def test_run_prints_the_table_and_says_what_was_done(oodbench, tmp_path: Path) -> None:
    code, output, errors = oodbench("run TINY --detectors msp --out run")
    assert code == 0
    assert errors == ""
    assert "PhotoPatches-bw" in output
    assert "forward passes over 700 distinct images, " in output
    assert output.endswith("run/\n")
    assert (tmp_path / "run" / "run.json").exists()


def test_off_a_terminal_the_table_has_no_control_characters(oodbench) -> None:
    _, output, _ = oodbench("run TINY --detectors msp --out run")
    assert "\x1b" not in output


def test_a_quiet_run_prints_nothing(oodbench, tmp_path: Path) -> None:
    assert oodbench("run TINY --detectors msp --out run --quiet") == (0, "", "")
    assert (tmp_path / "run" / "records.csv").exists()


def test_without_out_runs_go_to_a_folder_of_their_own(oodbench, tmp_path: Path) -> None:
    oodbench("run TINY --detectors msp --quiet")
    (found,) = (tmp_path / "results" / "runs").iterdir()
    assert found.name.startswith("tiny-20")
    assert (found / "records.csv").exists()


def test_parameters_seeds_and_sets_reach_the_run(oodbench, tmp_path: Path) -> None:
    code, _, _ = oodbench(
        "run TINY --detectors msp,energy --ood gaussian --seeds 0,3 --classifier-seeds 2 --out run "
        "--set energy.temperature=2 --set preact-resnet.width=3 --set preact-resnet.epochs=1 "
        "--batch-size 50 --precision float32 --device cpu --quiet"
    )
    request = json.loads((tmp_path / "run" / "run.json").read_text())["request"]
    assert code == 0
    assert request["ood"] == ["gaussian"]
    assert request["seeds"] == [0, 3]
    assert request["classifier_seeds"] == [0, 1]
    assert request["detectors"] == {"msp": {"temperature": 1.0}, "energy": {"temperature": 2.0}}
    assert request["classifier"] == {"preact-resnet": {"width": 3, "epochs": 1, "shift": 2}}
    assert (request["batch_size"], request["precision"]) == (50, "float32")


def test_a_failed_detector_is_exit_code_1_and_in_the_table(oodbench, install) -> None:
    source = DETECTORS.replace("return [Brightness,", "return [RaisesInFit, Brightness,")
    install("samples", source)
    code, output, errors = oodbench("run TINY --detectors raises-in-fit,confidence --out run")
    assert code == 1
    assert "ZeroDivisionError: no luck [today]" in " ".join(output.split())
    assert "failed: fit raises-in-fit" in errors
    assert "Traceback" not in output + errors


def test_a_quiet_run_says_what_failed(oodbench, install) -> None:
    source = DETECTORS.replace("return [Brightness,", "return [RaisesInFit, Brightness,")
    install("samples", source)
    code, output, errors = oodbench("run TINY --detectors raises-in-fit,confidence --quiet")
    assert (code, output) == (1, "")
    assert errors.startswith("Failed: raises-in-fit: fit raises-in-fit: ZeroDivisionError: no luck")


def test_a_plugin_that_cannot_be_imported_is_exit_code_1_and_in_the_table(
    oodbench, install
) -> None:
    install("lost", 'import not_installed\nname = "wanted"')
    code, output, _ = oodbench("run TINY --detectors wanted,msp --out run")
    assert code == 1
    assert "No module named 'not_installed'" in " ".join(output.split())
    assert "Traceback" not in output


# What is wrong, and what the one sentence must say. Folders and files are made by `misuse`.
MISTAKES = {
    "no such detector": (
        "run TINY --detectors enrgy",
        "unknown detector 'enrgy'; did you mean 'ene",
    ),
    "no such data set": (
        "run TINY --ood unifrm",
        "unknown data set 'unifrm'; did you mean 'uniform",
    ),
    "no such benchmark": (
        "run --benchmark minst",
        "unknown benchmark 'minst'; did you mean 'mnist",
    ),
    "no such id": (
        "run --id minst",
        "unknown benchmark or ID data set 'minst'; did you mean 'mnist'",
    ),
    "no such classifier": (
        "run TINY --classifier preact",
        "unknown classifier 'preact'; did you mean 'preact-resnet'",
    ),
    "nothing to run": ("run --detectors msp", "name a benchmark or an ID data set"),
    "no detectors": ("run TINY --detectors ,", "argument --detectors: names nothing"),
    "no ood sets": ("run TINY --ood ,", "argument --ood: names nothing"),
    "seeds of words": ("run TINY --seeds many", "'many' is neither a number nor a list"),
    "seeds of fractions": ("run TINY --seeds 1.5", "'1.5' is neither a number nor a list"),
    "seeds of nothing": ("run TINY --seeds 0", "seeds must be a number of at least 1"),
    "seeds twice": ("run TINY --seeds 1,1", "different numbers from 0 up"),
    "seeds below zero": ("run TINY --classifier-seeds -1", "classifier seeds must be"),
    "empty batches": ("run TINY --batch-size 0", "the batch size must be at least 1, not 0"),
    "batches of words": ("run TINY --batch-size big", "argument --batch-size: invalid int value"),
    "no such device": ("run TINY --device tpu", "argument --device: invalid choice: 'tpu'"),
    "no such engine": ("run TINY --engine spark", "argument --engine: invalid choice: 'spark'"),
    "no such option": (
        "run TINY --fast",
        "unrecognized arguments: --fast (see 'oodbench run --help')",
    ),
    "no such option of an action": (
        "store status --fast",
        "unrecognized arguments: --fast (see 'oodbench store status --help')",
    ),
    "no such command": ("race", "invalid choice: 'race'"),
    "set of nothing": ("run TINY --set msp", "'msp' is not PLUGIN.NAME=VALUE"),
    "set of no plugin": (
        "run TINY --detectors msp --set mps.temperature=1",
        "unknown plugin in this run 'mps'; did you mean 'msp'? (--set mps.temperature)",
    ),
    "set of no parameter": (
        "run TINY --detectors msp --set msp.temprature=1",
        "unknown parameter of detector msp: 'temprature'; did you mean 'temperature'?",
    ),
    "set of a wrong type": (
        "run TINY --detectors msp --set msp.temperature=hot",
        "msp.temperature = 'hot': input should be a valid number",
    ),
    "set of a bad value": (
        "run TINY --detectors msp --set preact-resnet.width=0",
        "classifier preact-resnet: width and epochs must be at least 1",
    ),
    "malformed TOML": (
        "run --benchmark broken.toml",
        "broken.toml: malformed TOML: Invalid value (at line 2",
    ),
    "unknown key in TOML": ("run --benchmark odd.toml", "odd.toml: unknown key 'colour'; "),
    "no such TOML": ("run --benchmark no.toml", "no.toml: cannot be read: No such file"),
    "no such folder": ("run TINY --ood ./nowhere", "./nowhere: neither an .npz file nor a folder"),
    "folder without images": ("run TINY --ood ./empty", "empty: the folder is empty"),
    "garbage pack": ("run TINY --ood ./garbage.npz", "garbage.npz: damaged or not an .npz file"),
    "truncated pack": ("run TINY --ood ./truncated.npz", "truncated.npz: damaged or not an .npz"),
    "garbage in the data folder": (
        "run TINY --ood svhn --data data",
        "data/svhn-test.npz: truncated or not an .npz file",
    ),
    "wrong image shape": (
        "run TINY --ood ./flat.npz",
        "flat.npz: images have shape (5, 64), not (N, H, W) or (N, H, W, 3)",
    ),
    "wrong shape in the data folder": (
        "run TINY --ood cifar10 --data data --detectors msp",
        "cifar10-test.npz: images have shape (5, 64), not (N, H, W) or (N, H, W, 3)",
    ),
    "nothing to be had": (
        "run TINY --ood svhn --no-download",
        "no OOD set is available: data set 'svhn'",
    ),
    "one class": (
        "run --id ./single --ood uniform --classifier preact-resnet --detectors msp --store store",
        "the ID training images have the labels [0]; a classifier needs at least two",
    ),
    "store is a file": (
        "run --benchmark digits --store file",
        "the store 'file' cannot be written to",
    ),
    "store in a file": (
        "run --id digits --store file/s",
        "the store 'file/s' cannot be written to",
    ),
    "out is a file": ("run TINY --detectors msp --out file", "cannot write the run to 'file'"),
    "out holds another run": (
        "run TINY --detectors energy --out taken",
        "taken holds the run of another request",
    ),
    "address of nothing": (
        "run TINY --detectors msp --store new --engine ray --ray-address nonsense",
        "Ray cannot be reached at nonsense: Invalid address format",
    ),
    "address of nobody": (
        "run TINY --detectors msp --store new --engine ray --ray-address 127.0.0.1:1",
        "Ray cannot be reached at 127.0.0.1:1: ",
    ),
    "table of nothing": ("table ./nowhere", "'nowhere' holds no finished run"),
    "table of a damaged run": ("table damaged", "damaged/records.csv' is not as the run left it"),
    "data of no set": ("data status minst", "unknown data set 'minst'; did you mean 'mnist'"),
    "plan of no detector": ("plan --id digits --detectors enrgy", "unknown detector 'enrgy'"),
}


@pytest.fixture
def misuse(tmp_path: Path, oodbench, line: str):
    """Make the files and folders that mistakes are about."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "broken.toml").write_text('name = "broken"\nid = digits\n')
    (tmp_path / "odd.toml").write_text(
        'name = "odd"\nid = "digits"\nood = ["uniform"]\nclassifier = "preact-resnet"\ncolour = 1\n'
    )
    (tmp_path / "data").mkdir()
    for path in ("garbage.npz", "data/svhn-test.npz"):
        (tmp_path / path).write_bytes(b"no images at all")
    images = np.zeros((6, 8, 8), dtype=np.uint8)
    for path in ("truncated.npz", "single-train.npz", "single-test.npz"):
        images = images + 1  # no set is a copy of another
        np.savez(tmp_path / path, images=images, labels=np.zeros(6, np.int64))
    whole = (tmp_path / "truncated.npz").read_bytes()
    (tmp_path / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    for path in ("flat.npz", "data/cifar10-test.npz"):
        np.savez(tmp_path / path, images=np.zeros((5, 64), np.uint8), labels=np.zeros(5, np.int64))
    for name in {"taken", "damaged"} & set(line.split()):
        oodbench(f"run TINY --detectors msp --quiet --out {name}")
        if name == "damaged":
            (tmp_path / name / "records.csv").write_text("x")
    return oodbench


FINISHED = re.compile(r"\d\d:\d\d:\d\d ")
"""How the line of a job begins that has ended, off a terminal."""


@pytest.mark.parametrize(("line", "complaint"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_answered_with_one_sentence(misuse, line: str, complaint: str) -> None:
    code, output, errors = misuse(line)
    assert code == 2
    said = [line for line in errors.splitlines() if not FINISHED.match(line)]
    sentence = " ".join(line.strip() for line in said)  # as wide as the terminal
    assert complaint in sentence
    assert sentence.startswith("oodbench: ")
    assert sentence.count("oodbench: ") == 1
    assert output == ""


def test_a_gpu_that_is_not_there_is_a_mistake(oodbench) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code, _, errors = oodbench("run TINY --detectors msp --device cuda")
    assert code == 2
    assert errors == "oodbench: --device cuda: torch finds no GPU here; use --device cpu or auto\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_without_permission_is_a_mistake(oodbench, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, errors = oodbench("run --id digits --store locked")
    assert (code, errors) == (
        2,
        "oodbench: the store 'locked' cannot be written to: permission denied\n",
    )


@pytest.mark.parametrize("line", ["run --dry-run", "plan"])
def test_a_plan_shows_what_would_be_done_and_runs_nothing(oodbench, tmp_path, tiny, line) -> None:
    line += f" --benchmark {tiny} --detectors msp --store new"
    code, output, _ = oodbench(line)
    assert code == 0
    assert "train preact-resnet (seed 0)" in output
    assert "score Uniform by msp" in output
    assert output.endswith("18 jobs to run, 0 results in the store\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tmp"]
    assert not (tmp_path / "results").exists()


def test_a_plan_is_machine_readable(oodbench, tiny: Path, store: Path) -> None:
    oodbench("run TINY --detectors msp --quiet --out run")
    _, output, _ = oodbench(
        f"plan --benchmark {tiny} --store {store} --detectors msp,energy --ood uniform,svhn --json "
        "--set energy.temperature=3.25"
    )
    content = json.loads(output)
    assert list(content["missing"]) == ["SVHN-bw"]
    assert content["in_store"] > 0
    jobs = [job["job"] for job in content["to_run"]]
    assert "score Uniform by energy" in jobs
    assert "train preact-resnet (seed 0)" not in jobs
    assert all(job["cpus"] >= 1 and len(job["key"]) == 64 for job in content["to_run"])


@pytest.mark.parametrize("line", ["run --dry-run", "plan", "plan --estimate"])
def test_a_plan_names_detectors_that_will_fail(oodbench, tiny: Path, store: Path, line) -> None:
    code, output, _ = oodbench(f"{line} --benchmark {tiny} --store {store} --detectors mcm,msp")
    assert code == 1
    assert "will fail: mcm: takes embeddings of the classes' names" in output


def test_a_plan_names_detectors_that_a_run_leaves_out(oodbench, tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    for seed, name in enumerate(("id-train", "id-test", "ood-far")):
        logits = np.random.default_rng(seed).normal(size=(30, 3)).astype(np.float32)
        np.savez(tmp_path / "arrays" / f"{name}.npz", logits=logits)
    line = "--arrays arrays --detectors odin,energy --store new"
    code, output, _ = oodbench(f"plan {line}")
    assert code == 0
    (reason,) = [each for each in output.splitlines() if each.startswith("left out: odin: ")]
    content = json.loads(oodbench(f"plan {line} --json")[1])
    assert reason == f"left out: odin: {content['unsuited']['odin']}"
    assert content["broken"] == {}
    assert reason in oodbench(f"run {line} --out run")[1]


def test_a_plan_of_folds_names_detectors_that_they_leave_out(oodbench, three: Path) -> None:
    line = f"plan --benchmark {three} --detectors energy,deep-svdd --store new --json"
    content = json.loads(oodbench(line)[1])
    assert content["unsuited"]["energy"] == "needs logits of a classifier, and there is none"


def test_a_plan_without_jobs_has_no_table(oodbench, tiny: Path, store: Path) -> None:
    oodbench("run TINY --detectors msp --quiet --out run")
    for line in ("plan", "plan --estimate"):
        _, output, _ = oodbench(f"{line} --benchmark {tiny} --store {store} --detectors msp")
        assert output.startswith("0 jobs to run, ")


@pytest.mark.parametrize("kind", ["detectors", "datasets", "classifiers", "benchmarks"])
def test_list_shows_one_kind(oodbench, kind: str) -> None:
    code, output, _ = oodbench(f"list {kind} --json")
    assert code == 0
    content = json.loads(output)
    assert set(content) == {kind, "failures", "absent"}
    assert all(row["name"] and row["summary"] and row["plugin"] for row in content[kind])


def test_list_shows_names_papers_needs_and_plugins(oodbench) -> None:
    code, output, _ = oodbench("list")
    assert code == 0
    for shown in (
        "energy",
        "NeurIPS 2020",
        "needs logits",
        "preact-resnet",
        "mnist",
        "oodbench 0.",
    ):
        assert shown in output


def test_list_shows_what_failed_to_load(oodbench, install) -> None:
    install("lost", "import not_installed")
    code, output, _ = oodbench("list detectors")
    assert code == 0
    assert "failed to load: lost (lost-dist 1.0): ModuleNotFoundError: No module" in output
    content = json.loads(oodbench("list --json")[1])
    assert content["failures"][0]["distribution"] == "lost-dist 1.0"


def test_brackets_in_a_plugins_texts_are_no_markup(oodbench, install) -> None:
    install("samples", DETECTORS.replace('summary="For tests."', 'summary="[red]For[/] [tests]."'))
    assert "[red]For[/] [tests]." in oodbench("list detectors")[1]


@pytest.mark.parametrize("style", ["terminal", "markdown", "csv", "latex", "html"])
def test_a_table_is_printed_again(oodbench, style: str) -> None:
    oodbench("run TINY --detectors msp --quiet --out run")
    code, output, errors = oodbench(f"table run --format {style}")
    assert (code, errors) == (0, "")
    assert "PhotoPatches" in output


def test_the_table_of_a_run_is_its_file(oodbench, tmp_path: Path) -> None:
    oodbench("run TINY --detectors msp --quiet --out run")
    _, output, _ = oodbench("table run --format markdown")
    assert output.rstrip("\n") == (tmp_path / "run" / "table.md").read_text().rstrip("\n")


def test_several_runs_make_one_table(oodbench) -> None:
    for name in ("msp", "energy"):
        oodbench(f"run TINY --detectors {name} --quiet --out {name}")
    _, output, _ = oodbench("table msp energy --format csv")
    assert "msp" in output
    assert "energy" in output


def test_data_status_shows_what_is_there(oodbench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    images = np.zeros((5, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "data" / "svhn-test.npz", images=images, labels=np.zeros(5, np.int64))
    code, output, _ = oodbench("data status svhn digits --data data")
    rows = [line.split() for line in output.splitlines()[2:]]
    assert code == 0
    assert rows == [
        ["svhn", "train", "not", "there"],
        ["svhn", "test", "svhn-test.npz"],
        ["digits", "train", "there"],
        ["digits", "test", "there"],
    ]


def test_data_verify_reads_every_image(oodbench) -> None:
    code, output, _ = oodbench("data verify digits")
    assert code == 0
    assert "1,201 images 8x8, sound" in output


def test_data_verify_fails_on_a_damaged_pack(oodbench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "svhn-test.npz").write_bytes(b"nothing")
    code, output, _ = oodbench("data verify svhn --data data")
    assert code == 1
    assert "svhn-test.npz: truncated or not an .npz file" in output


def test_data_verify_decodes_pictures_that_are_read_when_asked_for(
    oodbench, tmp_path: Path
) -> None:
    (tmp_path / "data" / "benchmark_imglist" / "imagenet").mkdir(parents=True)
    (tmp_path / "data" / "images_largescale").mkdir()
    listed = tmp_path / "data" / "benchmark_imglist" / "imagenet" / "test_ssb_hard.txt"
    listed.write_text("broken.png -1\n")
    (tmp_path / "data" / "images_largescale" / "broken.png").write_bytes(b"nothing")
    code, output, _ = oodbench("data verify ssb-hard --data data")
    assert code == 1
    assert "broken.png: not a readable picture" in output


def test_data_verify_takes_absent_images_for_no_failure(oodbench) -> None:
    code, output, _ = oodbench("data verify svhn digits --data data")
    rows = [line.split() for line in output.splitlines()[2:]]
    assert code == 0
    assert rows[:2] == [["svhn", "train", "not", "there"], ["svhn", "test", "not", "there"]]


ODD_SETS = """
from oodbench.contracts import Dataset, Info, hookimpl

class Unmade(Dataset):
    info = Info(name="unmade", summary="Raises when it is made.")

    def __init__(self):
        raise OSError("no licence")

    def load(self, root, split):
        raise NotImplementedError

class Unnamed(Unmade):
    info = Info(name="unnamed", summary="Raises when it is asked for its files.")
    splits = ("test",)
    shape = (1, 8, 8)

    def __init__(self):
        pass

    def files(self, root, split):
        raise RuntimeError("no shelf")

class Unread(Unnamed):
    info = Info(name="unread", summary="Raises when it is read.")

    def files(self, root, split):
        return ()

@hookimpl
def oodbench_datasets():
    return [Unmade, Unnamed, Unread]
"""


@pytest.mark.parametrize(("action", "expected"), [("status", 0), ("verify", 1)])
def test_data_sets_that_raise_have_rows_of_their_own(
    oodbench, install, action: str, expected: int
) -> None:
    install("odd_sets", ODD_SETS)
    code, output, _ = oodbench(f"data {action} unmade unnamed unread digits")
    assert code == expected
    assert "OSError: no licence (odd_sets.py:8)" in output
    assert "data set 'unnamed' cannot name its files: RuntimeError: no shelf" in output
    assert action == "status" or "NotImplementedError (odd_sets.py:11)" in output
    assert "digits" in output


def test_doctor_names_data_sets_that_raise(oodbench, install) -> None:
    install("odd_sets", ODD_SETS)
    code, output, _ = oodbench("doctor --json")
    failed = json.loads(output)["data_failed"]
    assert code == 0
    assert failed[0] == "unmade: OSError: no licence (odd_sets.py:8)"
    assert failed[1].startswith("unnamed: data set 'unnamed' cannot name its files")


def test_the_data_folder_may_come_from_the_environment(oodbench, monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", "elsewhere")
    assert oodbench("data status digits")[1].startswith(f"{Path('elsewhere').absolute()}\n")


def test_doctor_names_versions_devices_and_data(oodbench) -> None:
    code, output, _ = oodbench("doctor --json")
    content = json.loads(output)
    assert code == 0
    assert {"torch", "ray", "oodbench"} <= set(content["versions"])
    assert content["device"] in ("cpu", "cuda")
    assert "digits-train" in content["data_found"]
    assert content["failed_plugins"] == []
    assert "digits-train" in oodbench("doctor")[1]


def test_without_a_command_help_is_printed(oodbench) -> None:
    code, output, _ = oodbench("")
    assert code == 0
    assert output.startswith("usage: oodbench")


def test_the_version_is_printed(oodbench) -> None:
    code, output, _ = oodbench("--version")
    assert code == 0
    assert output.startswith("oodbench 0.")


def loaded(line: str, *modules: str) -> dict[str, bool]:
    """Run a command line in a process of its own; return which modules were imported by it."""
    program = (
        "import contextlib, io, json, sys\n"
        "from oodbench.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    assert main({line.split()!r}) == 0\n"
        f"print(json.dumps({{name: name in sys.modules for name in {modules!r}}}))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_needs_no_tensors_imports_no_torch(oodbench, tiny: Path, store: Path) -> None:
    what = f"--benchmark {tiny} --store {store} --detectors msp,maxlogit"
    run = f"run {what} --engine inline --quiet --out run"
    assert oodbench(run)[0] == 0
    slow = ("torch", "ray", "sklearn", "pytorch_ood")
    for line in ("table run", run, f"plan {what}"):
        assert loaded(line, *slow) == dict.fromkeys(slow, False), line
    slow += ("pandas", "matplotlib", "pyarrow")
    for line in ("--help", "list", "list --json"):
        assert loaded(line, *slow) == dict.fromkeys(slow, False), line


@pytest.mark.parametrize(("command", "abbreviation"), [("audit", "OOD sets"), ("plot", "PNG")])
def test_the_description_of_a_command_keeps_its_capitals(command, abbreviation, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert abbreviation in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("line", "seconds"), [("--help", 0.5), ("list", 2)])
def test_help_and_list_are_quick(line: str, seconds: float) -> None:
    """The bound is twice the promise, since other work may run on the machine."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([OODBENCH, line], check=True, capture_output=True)
        best = min(best, time.perf_counter() - started)
    assert best < 2 * seconds


def test_a_file_that_may_not_be_read_is_named(oodbench, monkeypatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied", "/data/digits-train.npz")

    monkeypatch.setattr(Path, "is_file", refuse)
    code, _, errors = oodbench("run TINY --detectors msp")
    assert code == 2
    assert errors == "oodbench: /data/digits-train.npz: permission denied\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    line = f"{OODBENCH} list | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("benchmarks")
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_encoding_of_the_output_lacks_is_replaced(monkeypatch, encoding: str) -> None:
    written = io.BytesIO()
    output = io.TextIOWrapper(written, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["list"]) == 0
    print("caf\udce9 \u2500\u2500 \u0159 \u2713")
    output.flush()
    text = written.getvalue().decode(encoding)
    assert "GAN-Based Anomaly" in text
    assert text.splitlines()[-1] == "caf\\xe9 -- r ?"
