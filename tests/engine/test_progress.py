"""Progress names the job and how far it is on a terminal, and only failures elsewhere."""

from __future__ import annotations

import sys
import time

import pytest

from oodbench.engine.progress import Progress
from oodbench.engine.worker import Outcome
from oodbench.jobs import Job, Ref, Resources

FIT = Job(Ref("fit", "key"), "fit ganad [seed 0]", {}, {}, Resources(1, 0.0))
FAILED = Outcome("ValueError: [bad] luck", "Traceback")


class Terminal:
    """A standard error that says that it is a terminal, and keeps what is drawn."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    def wait_for(self, text: str) -> str:
        """Return the last picture once it has a text in it."""
        end = time.monotonic() + 10
        while text not in self.picture():
            assert time.monotonic() < end, f"{text!r} never appears in {self.text!r}"
            time.sleep(0.01)
        return self.picture()

    def picture(self) -> str:
        """Return what was drawn since the first line was last cleared."""
        return self.text.rpartition("\r\x1b[2K")[2]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def progress(terminal: Terminal, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a `Progress` on the terminal."""

    def make(**options: bool) -> Progress:  # pytest puts its own standard error back before a test
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return Progress(**options)

    return make


def go_through(progress: Progress, outcome: Outcome) -> None:
    with progress:
        progress.started(FIT)
        progress.progressed(FIT, 3, 8, {"loss": 0.125})
        progress.finished(FIT, outcome)


def test_a_terminal_shows_job_steps_and_figures(terminal: Terminal, progress) -> None:
    with progress() as shown:
        shown.started(FIT)
        assert "fit ganad [seed 0]" in terminal.wait_for("0/?")
        shown.progressed(FIT, 3, 8, {"loss": 0.125})
        assert "3/8" in terminal.wait_for("loss 0.125")
        shown.progressed(FIT, 4, 8, {})
        assert "loss 0.125" in terminal.wait_for("4/8")
        shown.finished(FIT, Outcome())
    assert "fit ganad" not in terminal.picture()


def test_a_job_that_starts_again_has_one_bar(terminal: Terminal, progress) -> None:
    with progress() as shown:
        for _ in range(2):
            shown.started(FIT)
        shown.progressed(FIT, 1, 2, {})
        assert terminal.wait_for("1/2").count("fit ganad") == 1


def test_a_terminal_shows_what_another_run_works_on(terminal: Terminal, progress) -> None:
    with progress() as shown:
        shown.waiting(FIT)
        assert "waiting for another run: fit ganad [seed 0]" in terminal.wait_for("0/?")
        shown.started(FIT)
        shown.progressed(FIT, 1, 2, {})
        assert "waiting" not in terminal.wait_for("1/2")


def test_quiet_shows_nothing(terminal: Terminal, progress) -> None:
    go_through(progress(quiet=True), FAILED)
    assert terminal.text == ""


def test_off_a_terminal_nothing_is_shown(capsys) -> None:
    go_through(Progress(), Outcome())
    assert capsys.readouterr() == ("", "")


def test_off_a_terminal_a_failure_is_shown(capsys) -> None:
    go_through(Progress(), FAILED)
    assert capsys.readouterr() == ("", "failed: fit ganad [seed 0]: ValueError: [bad] luck\n")


def test_off_a_terminal_a_note_is_shown(capsys) -> None:
    go_through(Progress(), Outcome(notes=("started again",)))
    assert capsys.readouterr() == ("", "fit ganad [seed 0]: started again\n")


def test_off_a_terminal_a_failure_is_one_line_however_long(capsys) -> None:
    go_through(Progress(), Outcome("ValueError: " + "bad luck " * 30, "Traceback"))
    assert capsys.readouterr().err.count("\n") == 1


def test_a_mistake_of_the_user_is_left_to_the_command_line(capsys) -> None:
    go_through(Progress(), Outcome("one class", "Traceback", is_users=True))
    assert capsys.readouterr() == ("", "")
