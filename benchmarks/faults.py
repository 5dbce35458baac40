"""Break runs in many ways, repeat them, and see whether anything that was computed is lost.

Each try starts a small run on digits, breaks something at a random moment of it, and types the same
command again. The second run must end with the records, scores and predictions of an undisturbed
one, and must not repeat a job whose artifact the fault left whole:

    python benchmarks/faults.py --csv results/faults.csv
    python benchmarks/faults.py kill-9 disk-full --share 0.1

The CSV file gets a row as soon as a fault has been tried, in place of one that it had; its other
rows stay. Moments are drawn from the ``seconds`` that an undisturbed run took, evenly.

Linux. Faults that need a file system of their own are tried as root alone, and those of file
permissions as another user.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from oodbench.results.run import Run, read_run
from oodbench.store.artifacts import MANIFEST

OODBENCH = str(Path(sysconfig.get_path("scripts")) / "oodbench")
REQUEST = "run --id digits --detectors msp,vim,knn,isolation-forest --images 100 --seeds 2"
TIMES = ["fit_seconds", "score_seconds"]
LIMIT_SECONDS = 600
NOBODY = 65534

WITHOUT_LEASES = (
    "import sys; from oodbench.cli import main; from oodbench.store.leases import Leases; "
    "Leases.take = lambda self, name: True; sys.exit(main(sys.argv[1:]))"
)
"""The command where no process sees that another is at work, as on file systems without locks."""


class Lost(Exception):
    """A run was not what it would have been without the fault."""


@dataclass
class Setting:
    """A folder in which runs are broken.

    Attributes:
        folder: holds ``store``, ``out`` and ``images``.
        undisturbed: the run that is to come out.
        draw: draws moments and places.
        seconds: how long a run takes that nobody disturbs.
        engine: of the runs.
        user: number of the user who runs, None for this one.
    """

    folder: Path
    undisturbed: Run
    draw: random.Random
    seconds: float
    engine: str = "inline"
    user: int | None = None

    @property
    def store(self) -> Path:
        """Return the folder of the store."""
        return self.folder / "store"

    def arguments(self, out: str = "out") -> list[str]:
        """Return what follows the name of the command."""
        return [
            *REQUEST.split(),
            *("--ood", f"glyphs,{self.folder / 'images'}", "--device", "cpu", "--quiet"),
            *("--engine", self.engine, "--store", str(self.store)),
            *("--out", str(self.folder / out)),
        ]

    def start(
        self, out: str = "out", *, leases: bool = True, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start a run in a session of its own."""
        command = [OODBENCH] if leases else [sys.executable, "-c", WITHOUT_LEASES]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(
            [*command, *self.arguments(out)],
            start_new_session=True,
            user=self.user,
            env={**os.environ, "HOME": str(self.folder)},
            **{**quiet, **options},  # type: ignore[call-overload]
        )

    def wait(self) -> None:
        """Let a random part of a run's time pass."""
        time.sleep(self.draw.uniform(0, self.seconds))

    def artifacts(self) -> dict[str, int]:
        """Return the inode of the manifest of each artifact, by stage and key."""
        return {
            "/".join(path.parts[-3:-1]): path.stat().st_ino
            for path in self.store.glob(f"*/*/{MANIFEST}")
            if path.parts[-3] != "tmp"
        }

    def finish(self, out: str = "out", damaged: frozenset[str] = frozenset()) -> None:
        """Run to the end and compare.

        Args:
            out: folder of the run.
            damaged: stage and key of the artifacts that have to be made again.

        Raises:
            Lost: if anything is not as without the fault.
        """
        before = self.artifacts()
        code = end(self.start(out))
        if code:
            raise Lost(f"exit code {code}")
        after = self.artifacts()
        if again := [key for key in before if key not in damaged and before[key] != after.get(key)]:
            raise Lost(f"{len(again)} results were made again, such as {again[0]}")
        self.compare(out)

    def compare(self, out: str = "out") -> None:
        """Compare a finished run with the undisturbed one.

        Raises:
            Lost: if anything but times and places differs.
        """
        found = read_run(self.folder / out)
        for name in ("records", "scores", "predictions"):
            one, other = (
                each.records.drop(columns=TIMES) if name == "records" else getattr(each, name)()
                for each in (found, self.undisturbed)
            )
            if not one.equals(other):
                raise Lost(f"{name} differ")


def end(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a run, which is killed if it does not end by itself.

    Raises:
        Lost: if it had to be killed.
    """
    try:
        return process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        kill_session(process)
        raise Lost(f"it did not end within {LIMIT_SECONDS} s") from None


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def in_the_middle(setting: Setting) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run, yield it at a random moment, and then wait until it has ended."""
    process = setting.start()
    setting.wait()
    yield process
    end(process)


def signals(*sent: signal.Signals) -> Callable[[Setting], None]:
    """Return the fault of signals that are sent at a random moment, half a second apart."""

    def fault(setting: Setting) -> None:
        with in_the_middle(setting) as process:
            for number, each in enumerate(sent):
                if number:
                    time.sleep(0.5)
                process.send_signal(each)
        setting.finish()

    return fault


def output_removed(setting: Setting) -> None:
    """Remove the output folder in the middle, where it is there already."""
    with in_the_middle(setting):
        shutil.rmtree(setting.folder / "out", ignore_errors=True)
    setting.finish()


def images_removed(setting: Setting) -> None:
    """Take a folder of images away in the middle, and put it back."""
    images, away = setting.folder / "images", setting.folder / "away"
    with in_the_middle(setting):
        images.rename(away)
    away.rename(images)
    setting.finish()


def store_removed(setting: Setting) -> None:
    """Remove the store in the middle."""
    with in_the_middle(setting):
        shutil.rmtree(setting.store, ignore_errors=True)
    setting.finish()


def permissions_changed(setting: Setting) -> None:
    """Take the permission to write into the store from a user in the middle, and give it back."""
    with in_the_middle(setting):
        setting.store.mkdir(exist_ok=True)
        folders = [setting.store, *(path for path in setting.store.glob("*") if path.is_dir())]
        for each in folders:
            each.chmod(0o555)
    for each in folders:
        each.chmod(0o777)
    setting.finish()


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """Put a file system in memory at a folder, of so many bytes."""
    folder.mkdir()
    options = f"size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def disk_full(setting: Setting) -> None:
    """Give the store less room than it needs, then enough."""
    needed = sum(path.stat().st_size for path in (setting.folder.parent / "first").rglob("*"))
    with mounted(setting.store, setting.draw.randrange(4096, needed)):
        end(setting.start())
        remount(setting.store, f"size={10 * needed}")
        setting.finish()


def read_only(setting: Setting) -> None:
    """Make the store's file system read-only in the middle, and writable again."""
    with mounted(setting.store, 10**9):
        with in_the_middle(setting):
            frozen = remount(setting.store, "ro")  # refused while a file is being written
        if frozen:
            remount(setting.store, "rw")
        setting.finish()


def remount(folder: Path, options: str) -> bool:
    """Return whether a mounted file system took other options."""
    command = ["mount", "-o", f"remount,{options}", folder]
    return not subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def clock_set_back(setting: Setting) -> None:
    """Kill a run, and let all that it left be of tomorrow."""
    process = setting.start()
    setting.wait()
    kill_session(process)
    tomorrow = time.time() + 24 * 3600
    for path in setting.store.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    setting.finish()


def worker_killed(setting: Setting) -> None:
    """Kill a worker, as the kernel does where memory runs out."""
    with in_the_middle(setting) as process:
        if workers := workers_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(setting.draw.choice(workers), signal.SIGKILL)
    setting.finish()


def workers_of(process: int) -> list[int]:
    """Return the numbers of Ray's workers that descend from a process."""
    command = ["ps", "-e", "-o", "pid=,ppid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    family = {process}
    for number, parent, _ in sorted((int(one), int(other), args) for one, other, args in rows):
        if parent in family:
            family.add(number)
    return [int(number) for number, _, args in rows if int(number) in family and "ray::" in args]


def terminal_gone(setting: Setting) -> None:
    """Close the terminal in the middle."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    process = setting.start(preexec_fn=take_terminal, **streams)
    os.close(theirs)
    setting.wait()
    os.close(ours)
    end(process)
    setting.finish()


def two_without_leases(setting: Setting) -> None:
    """Run twice at once on one store, where neither sees that the other is at work."""
    processes = [setting.start(f"out-{number}", leases=False) for number in range(2)]
    codes = [end(each) for each in processes]
    if any(codes):
        raise Lost(f"exit codes {codes}")
    for number in range(2):
        setting.compare(f"out-{number}")


DAMAGED_AT_ONCE = 25


def damaged(damage: Callable[[Path, random.Random], None]) -> Callable[[Setting], None]:
    """Return the fault that some artifacts of a finished run are damaged."""

    def fault(setting: Setting) -> None:
        if not setting.store.exists():
            shutil.copytree(setting.folder.parent / "first", setting.store)
        chosen = setting.draw.sample(sorted(setting.artifacts()), DAMAGED_AT_ONCE)
        for key in chosen:
            damage(setting.store / key, setting.draw)
        shutil.rmtree(setting.folder / "out", ignore_errors=True)
        setting.finish(damaged=frozenset(chosen))

    return fault


def file_of(artifact: Path, draw: random.Random) -> Path:
    """Return one of the files of an artifact, its manifest included, that is not empty."""
    files = sorted(path for path in artifact.rglob("*") if path.is_file() and path.stat().st_size)
    return draw.choice(files)


def truncate(artifact: Path, draw: random.Random) -> None:
    """Cut a file off."""
    path = file_of(artifact, draw)
    os.truncate(path, draw.randrange(path.stat().st_size))


def flip(artifact: Path, draw: random.Random) -> None:
    """Flip a bit of a file."""
    path = file_of(artifact, draw)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def remove(artifact: Path, draw: random.Random) -> None:
    """Remove a file."""
    file_of(artifact, draw).unlink()


def swap(artifact: Path, draw: random.Random) -> None:
    """Put another artifact of the same stage in its place."""
    others = [each for each in sorted(artifact.parent.iterdir()) if each != artifact]
    if others:
        shutil.rmtree(artifact)
        shutil.copytree(draw.choice(others), artifact)
    else:
        remove(artifact, draw)


KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
FAULTS: dict[str, tuple[str, Callable[[Setting], None], int, int]] = {
    "kill-9": ("`kill -9`", signals(KILL), 25, 10),
    "sigterm": ("`kill`", signals(TERM), 15, 10),
    "ctrl-c": ("Ctrl-C", signals(INT), 15, 5),
    "ctrl-c-twice": ("Ctrl-C twice", signals(INT, INT), 15, 5),
    "disk-full": ("disk full in the middle", disk_full, 10, 2),
    "read-only": ("store read-only in the middle", read_only, 10, 2),
    "permissions": ("store's permissions changed in the middle", permissions_changed, 10, 2),
    "store-removed": ("store removed in the middle", store_removed, 10, 2),
    "output-removed": ("output folder removed in the middle", output_removed, 10, 2),
    "images-removed": ("folder of images removed in the middle", images_removed, 10, 2),
    "truncated": ("artifacts cut off, 25 at once", damaged(truncate), 10, 0),
    "flipped": ("artifacts with a flipped bit, 25 at once", damaged(flip), 10, 0),
    "removed": ("artifacts with a file removed, 25 at once", damaged(remove), 10, 0),
    "swapped": ("artifacts in each other's place, 25 at once", damaged(swap), 10, 0),
    "clock": ("killed, and the clock set back by a day", clock_set_back, 10, 2),
    "worker": ("a worker killed, as for want of memory", worker_killed, 0, 10),
    "terminal": ("terminal closed", terminal_gone, 10, 2),
    "no-leases": ("two runs at once, no leases", two_without_leases, 5, 0),
}
"""Name, what is done, how, and how often it is tried inline and under Ray."""

NEEDS_ROOT = {"disk-full", "read-only"}
AS_NOBODY = {"permissions"}


def trials(
    name: str, engine: str, count: int, place: Path, first: Setting
) -> dict[str, object] | None:
    """Try a fault some times, and return a row of the table; None if it cannot be tried here."""
    said, fault, *_ = FAULTS[name]
    lost: list[str] = []
    for number in range(count):
        folder = place / f"{name}-{engine}-{number}"
        folder.mkdir()
        shutil.copytree(place / "images", folder / "images")
        setting = Setting(
            folder,
            first.undisturbed,
            random.Random(f"{name} {engine} {number}"),
            first.seconds,
            engine,
        )
        if name in AS_NOBODY and os.geteuid() == 0:
            setting.user = NOBODY
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        try:
            fault(setting)
        except Lost as error:
            lost.append(str(error))
        except PermissionError as error:  # as where another user may not run this installation
            print(f"{said}, {engine}: cannot be tried: {error}", file=sys.stderr)
            return None
        shutil.rmtree(folder, ignore_errors=True)
        print(f"\r{said}, {engine}: {number + 1}/{count}", end="", file=sys.stderr, flush=True)
    print(f", {len(lost)} lost {lost[:3] or ''}", file=sys.stderr)
    return {
        "fault": said,
        "engine": engine,
        "tries": count,
        "lost": len(lost),
        "seconds": round(first.seconds, 1),
    }


def undisturbed(place: Path) -> Setting:
    """Make images, and the run that all others are compared with."""
    images = place / "images"
    images.mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    setting = Setting(place, None, random.Random(0), 0.0)  # type: ignore[arg-type]
    started = time.monotonic()
    if end(setting.start(stderr=None)):
        sys.exit("the undisturbed run failed")
    setting.seconds = time.monotonic() - started
    setting.undisturbed = read_run(place / "out")
    setting.store.rename(place / "first")
    print(f"an undisturbed run takes {setting.seconds:.1f} s", file=sys.stderr)
    return setting


def keep(row: dict[str, object], path: Path) -> None:
    """Put a row into a CSV file, in place of that of the same fault and engine, in order."""
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    same = ("fault", "engine")
    rows = [other for other in rows if any(other[each] != row[each] for each in same)] + [row]
    order = [said for said, *_ in FAULTS.values()]
    rows.sort(key=lambda other: (order.index(other["fault"]), other["engine"]))
    pd.DataFrame(rows).to_csv(path, index=False)


def main() -> None:
    """Try the faults that were asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("faults", nargs="*", default=list(FAULTS), metavar="FAULT")
    parser.add_argument("--engine", choices=("inline", "ray"), help="try this one alone")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of tries")
    parser.add_argument("--csv", type=Path, help="keep the rows there")
    options = parser.parse_args()
    if unknown := set(options.faults) - set(FAULTS):
        parser.error(f"no such faults: {', '.join(sorted(unknown))}; choose of {', '.join(FAULTS)}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="oodbench-faults-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        first = undisturbed(place)
        for name, engine in itertools.product(options.faults, ("inline", "ray")):
            usual = FAULTS[name][2 if engine == "inline" else 3]
            count = round(usual * options.share + 0.49)
            if options.engine not in (None, engine) or (name in NEEDS_ROOT and os.geteuid()):
                continue
            if count and (row := trials(name, engine, count, place, first)):
                rows.append(row)
                if options.csv:
                    keep(row, options.csv)
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
