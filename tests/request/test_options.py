"""Each option of a run is defined and described once, for Python and for the command line."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from pathlib import Path

import pytest

import oodbench
from oodbench.cli import arguments, build_parser
from oodbench.errors import UserError
from oodbench.request.options import Options
from oodbench.runs.options import RunOptions

FIELDS = {each.name: each for each in dataclasses.fields(RunOptions)}


def options_of(command: str) -> dict[str, argparse.Action]:
    (commands,) = build_parser()._subparsers._group_actions
    return {action.dest: action for action in commands.choices[command]._actions}


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"observer"}))
def test_the_command_line_has_every_option_with_its_default_and_meaning(name: str) -> None:
    action = options_of("run")[name]
    default = FIELDS[name].default
    assert action.default == ({} if default is dataclasses.MISSING else default)
    assert action.help.removeprefix("do not ") in FIELDS[name].metadata["text"]


@pytest.mark.parametrize("name", FIELDS)
def test_python_has_every_option_with_its_meaning(name: str) -> None:
    assert name in inspect.signature(oodbench.run).parameters
    assert f"    {name}: {FIELDS[name].metadata['text']}." in oodbench.run.__doc__


def test_python_takes_what_is_compared_by_position_and_the_rest_by_name() -> None:
    kinds = {each.kind for each in list(inspect.signature(oodbench.run).parameters.values())[2:]}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    wrong = r"^run\(\) has no argument 'detector'; did you mean 'detectors'\?$"
    with pytest.raises(TypeError, match=wrong):
        oodbench.run("digits", detector=["msp"])
    with pytest.raises(TypeError, match=r"^run\(\): too many positional arguments$"):
        oodbench.run("digits", ["msp"], 3)
    with pytest.raises(UserError, match="unknown engine 'rays'"):
        oodbench.run("digits", ["msp"], engine="rays")


@pytest.mark.parametrize("command", ["run", "plan", "tune", "audit"])
def test_the_options_of_all_commands_are_read_in_one_way(command: str) -> None:
    line = [command, "--id", "digits", "--set", "msp.a=1", "--data", "there", "--no-download"]
    line += [] if command == "audit" else ["--detectors", "msp,energy"]
    read = Options(**arguments.read(build_parser().parse_args(line)))
    expected = Options(
        "digits",
        parameters={"msp": {"a": "1"}},
        data=Path("there"),
        download=False,
        **({} if command == "audit" else {"detectors": ["msp", "energy"]}),
    )
    assert read == expected


def test_names_may_be_written_as_on_the_command_line() -> None:
    options = Options("digits", "energy, knn", ood="uniform,")
    assert (options.detectors, options.ood) == (["energy", "knn"], ["uniform"])
