"""A lease is one process's until it is released, its process has ended, or shows no life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from oodbench.store import leases as module
from oodbench.store.leases import EXPIRY_SECONDS, Leases, leased

HOLDER = """
import sys, time
from pathlib import Path
from oodbench.store.leases import Leases
with Leases(Path(sys.argv[1])) as leases:
    assert leases.take("job")
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Start a process that holds the lease of a job, and end it after the test."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def take(folder: Path) -> bool:
    with Leases(folder) as leases:
        return leases.take("job")


def rewrite(path: Path, **changes: object) -> None:
    """Change what a lease says of the process that holds it."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def age(path: Path, seconds: float) -> None:
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


def test_a_lease_is_taken_once_and_free_when_it_is_released(tmp_path: Path) -> None:
    with Leases(tmp_path) as one, Leases(tmp_path) as other:
        assert one.take("job")
        assert not other.take("job")
        assert other.take("another job")
        one.release("job")
        assert other.take("job")


def test_the_end_of_the_block_releases_everything(tmp_path: Path) -> None:
    assert take(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_is_not_held_is_not_released(tmp_path: Path) -> None:
    with Leases(tmp_path) as one, Leases(tmp_path) as other:
        one.take("job")
        other.release("job")
        assert not other.take("job")


def test_another_process_keeps_its_lease_until_it_is_killed(tmp_path: Path, holder) -> None:
    assert not take(tmp_path)
    holder.kill()  # nobody has waited for it: it is a zombie still
    end = time.monotonic() + 10
    while not take(tmp_path):
        assert time.monotonic() < end
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(module._host() is None, reason="needs /proc")
def test_a_process_that_has_the_number_of_a_dead_one_does_not_hold_its_lease(
    tmp_path: Path, holder
) -> None:
    rewrite(tmp_path / "job", started="1")
    assert take(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
def test_an_unreadable_lease_is_kept_as_long_as_it_shows_life(tmp_path: Path, content: str) -> None:
    (tmp_path / "job").write_text(content)
    assert not take(tmp_path)
    age(tmp_path / "job", EXPIRY_SECONDS + 1)
    assert take(tmp_path)


def test_a_lease_of_another_host_is_kept_as_long_as_it_shows_life(tmp_path: Path, holder) -> None:
    rewrite(tmp_path / "job", host="elsewhere", process=1, started="1")
    age(tmp_path / "job", EXPIRY_SECONDS - 5)
    assert not take(tmp_path)
    age(tmp_path / "job", 10)
    assert take(tmp_path)


def test_the_clock_of_this_host_does_not_count(tmp_path: Path, holder, monkeypatch) -> None:
    rewrite(tmp_path / "job", host="elsewhere")
    monkeypatch.setattr(time, "time", lambda: 3e9)
    assert not take(tmp_path)


def test_a_holder_shows_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    with Leases(tmp_path) as leases:
        leases.take("job")
        age(tmp_path / "job", EXPIRY_SECONDS + 1)
        aged = (tmp_path / "job").stat().st_mtime
        end = time.monotonic() + 10
        while (tmp_path / "job").stat().st_mtime == aged:
            assert time.monotonic() < end
        assert not take(tmp_path)


def test_who_lost_a_lease_does_not_release_the_next_holders(tmp_path: Path, holder) -> None:
    content = (tmp_path / "job").read_bytes()
    (tmp_path / "job").unlink()
    with Leases(tmp_path) as leases:
        leases.take("job")
        (tmp_path / "job").write_bytes(content)
    assert (tmp_path / "job").read_bytes() == content


def test_where_no_lease_can_be_written_everybody_may_work(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("in the way")
    with Leases(tmp_path / "leases") as one, Leases(tmp_path / "leases") as other:
        assert one.take("job")
        assert other.take("job")
        one.release("job")


def test_a_block_waits_for_the_lease_that_it_needs(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with leased(tmp_path, "job"):
            order.append("second")

    waiter = threading.Thread(target=second)
    with leased(tmp_path, "job"):
        waiter.start()
        time.sleep(0.3)
        order.append("first")
    waiter.join()
    assert order == ["first", "second"]
