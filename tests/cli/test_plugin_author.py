"""The commands ``new-plugin`` and ``check`` serve the author of a plugin."""

import json
import re

import pytest

from oodbench.cli import main
from oodbench.registry.scaffold import write_plugin

BACKWARDS = """
from oodbench.contracts import Detector, Info, Need, hookimpl

class Backwards(Detector):
    info = Info(name="backwards", summary="Larger for ID images.")
    needs = frozenset({Need.LOGITS})

    def __init__(self, *, sign: float = 1.0) -> None:
        self.sign = sign

    def score(self, batch):
        return self.sign * batch.logits.logsumexp(dim=1)

@hookimpl
def oodbench_detectors():
    return [Backwards]
"""


def test_a_new_plugin_is_written_and_the_next_commands_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new-plugin", "deep-sea"]) == 0
    assert (tmp_path / "deep-sea" / "deep_sea.py").exists()
    output = capsys.readouterr().out
    assert "oodbench check deep-sea" in output
    assert "oodbench run --id digits --detectors deep-sea,energy" in output


def test_the_name_of_a_detector_that_is_there_is_refused(tmp_path, capsys):
    assert main(["new-plugin", "energy", "--to", str(tmp_path)]) == 2
    assert "there is a detector called 'energy' already" in capsys.readouterr().err


def test_a_new_plugin_passes_every_check_once_it_is_installed(install, tmp_path, capsys):
    folder = write_plugin("deep-sea", tmp_path)
    install("deep_sea", (folder / "deep_sea.py").read_text(encoding="utf-8"))
    assert main(["check", "deep-sea"]) == 0
    output = capsys.readouterr().out
    assert "✓ noise gets larger scores than images of the training" in output
    assert "detector deep-sea (deep_sea-dist 1.0): 16 checks passed, 0 failed" in output


def test_what_is_wrong_with_a_plugin_is_said(install, capsys):
    install("odd", BACKWARDS)
    assert main(["check", "backwards"]) == 1
    output = capsys.readouterr().out
    assert "is the sign wrong? Larger must mean more OOD" in output
    assert output.count("✗") == 1


def test_the_check_that_failed_comes_last_and_those_that_wait_for_it_in_one_line(install, capsys):
    install("odd", BACKWARDS.replace("(dim=1)", "(dim=0)"))
    assert main(["check", "backwards"]) == 1
    *lines, title, reason, _, _ = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "score failed, as another check reports" in line]) == 1
    assert re.match(r"– \d+ checks skipped: ", lines[-1])
    assert title.startswith("✗ score works with what is declared")
    assert reason.startswith("  scores have shape ")


def test_a_plugin_whose_hook_is_not_marked_is_named(install, capsys):
    install("odd", BACKWARDS.replace("@hookimpl", ""))
    assert main(["check", "backwards"]) == 2
    assert "is @hookimpl missing?" in capsys.readouterr().err


def test_a_plugin_is_checked_with_the_parameters_given(install, capsys):
    install("odd", BACKWARDS)
    assert main(["check", "backwards", "--set", "backwards.sign=-1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    statuses = {check["name"]: check["status"] for check in found["checks"]}
    assert statuses["toy_shift"] == "passed"
    assert statuses["unfitted"] == "skipped"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("check enrgy", "did you mean 'energy'?"),
        ("check mcm", "'mcm' cannot be checked: takes embeddings"),
        ("check energy --set msp.temperature=2", "unknown plugin to check 'msp'"),
    ],
)
def test_what_cannot_be_checked_is_refused(line, message, capsys):
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err
