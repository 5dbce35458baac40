"""Progress names the job and how far it is on a terminal; elsewhere, each finished job."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from oodbench.engine.progress import Progress
from oodbench.engine.runlog import RunLog
from oodbench.engine.worker import Outcome
from oodbench.errors import UserError
from oodbench.plan.jobs import Job, Ref, Resources

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


CLOCK = r"\d\d:\d\d:\d\d"


def test_off_a_terminal_a_finished_job_is_a_line(capsys) -> None:
    progress = Progress()
    progress.planned(25)
    go_through(progress, Outcome(seconds=4.21))
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"{CLOCK}  1/25  fit ganad \[seed 0\]  4\.2 s\n", err)


def test_off_a_terminal_a_failure_is_a_line_with_its_reason(capsys) -> None:
    progress = Progress()
    progress.planned(2)
    go_through(progress, FAILED)
    line = rf"{CLOCK}  1/2  failed: fit ganad \[seed 0\]: ValueError: \[bad\] luck\n"
    assert re.fullmatch(line, capsys.readouterr().err)


def test_off_a_terminal_a_failure_is_one_line_however_long(capsys) -> None:
    go_through(Progress(), Outcome("ValueError: " + "bad luck " * 30, "Traceback"))
    assert capsys.readouterr().err.count("\n") == 1


def test_off_a_terminal_a_step_that_is_no_job_is_a_line(capsys) -> None:
    with Progress() as progress:
        progress.planned(2)
        with progress.step("draw figure [ranks]"):
            pass
    line = rf"{CLOCK}  1/2  draw figure \[ranks\]  0\.0 s\n"
    assert re.fullmatch(line, capsys.readouterr().err)


def test_a_terminal_shows_a_step_that_is_no_job(terminal: Terminal, progress) -> None:
    with progress() as shown, shown.step("draw figure [ranks]"):
        assert "draw figure [ranks]" in terminal.wait_for("ranks")


def test_a_mistake_of_the_user_is_left_to_the_command_line(capsys) -> None:
    go_through(Progress(), Outcome("one class", "Traceback", is_users=True))
    assert capsys.readouterr() == ("", "")


def test_the_log_of_a_run_has_each_job_and_why_one_failed(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with RunLog(path, "digits", Progress(quiet=True)) as log:
        log.planned(2)
        log.finished(FIT, Outcome(seconds=4.21, notes=("mirrored",)))
        log.finished(FIT, FAILED)
    lines = path.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d  oodbench \S+: digits", lines[0])
    assert re.fullmatch(rf"{CLOCK}  1/2  fit ganad \[seed 0\]  4\.2 s", lines[1])
    assert lines[2] == "    mirrored"
    assert lines[3].endswith("  2/2  failed: fit ganad [seed 0]: ValueError: [bad] luck")
    assert lines[4] == "    Traceback"
    assert re.fullmatch(r"finished after \d+\.\d s", lines[5])


def test_the_log_of_a_run_says_what_ended_it(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for error, said in ((UserError("no disk"), "UserError: no disk"), (KeyboardInterrupt, "")):
        log = RunLog(path, "digits", Progress(quiet=True))
        with pytest.raises((UserError, KeyboardInterrupt)), log:
            raise error
        assert said in path.read_text()
    assert "\ninterrupted after " in path.read_text()


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path / "gone" / "run.log", "digits", Progress(quiet=True)) as log:
        log.finished(FIT, Outcome())


def test_off_a_terminal_it_is_said_what_another_run_works_on(capsys) -> None:
    with Progress() as shown:
        shown.waiting(FIT)
    assert capsys.readouterr().err.endswith("  waiting for another run: fit ganad [seed 0]\n")
